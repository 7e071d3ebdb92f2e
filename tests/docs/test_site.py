"""The documentation as `nox -s docs` has built it: it is whole, and fetches nothing remote."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .code_blocks import ROOT

SOURCES = ROOT / "docs"
BUILT = SOURCES / "_build" / "html"
SVG = "{http://www.w3.org/2000/svg}"
REMOTE = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import\s+[\"'](?:https?:)?//")

#: Which attributes of which elements a browser fetches by itself. Links are followed by people.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Fetched(HTMLParser):
    """Collects what a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = FETCHED.get(tag, "")
        if tag == "link" and given.get("rel") in {"stylesheet", "preload", "icon", "preconnect"}:
            name = "href"
        self.addresses += [given[name] or ""] if name in given else []


def built(pattern: str) -> list[Path]:
    assert BUILT.is_dir(), "Build the site first: sphinx-build -W docs docs/_build/html"
    return sorted(BUILT.rglob(pattern))


def test_the_host_of_the_site_installs_every_distribution() -> None:
    """Their modules are imported for the reference."""
    config = (ROOT / ".readthedocs.yaml").read_text(encoding="utf-8")
    projects = (path for pattern in ("*", "plugins/*") for path in ROOT.glob(pattern))
    distributions = {
        str(path.relative_to(ROOT)) for path in projects if (path / "pyproject.toml").is_file()
    }
    assert set(re.findall(r"--editable (\S+)", config)) == distributions
    assert "fail_on_warning: true" in config


def test_every_source_is_a_page() -> None:
    pages = {str(page.relative_to(BUILT).with_suffix("")) for page in built("*.html")}
    sources = {str(path.relative_to(SOURCES).with_suffix("")) for path in SOURCES.rglob("*.md")}
    assert sources - pages == set()


def test_pages_fetch_nothing_from_elsewhere() -> None:
    for page in built("*.html"):
        fetched = Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert fetched.addresses, page
        assert [a for a in fetched.addresses if re.match(r"(https?:)?//", a)] == [], page


def test_styles_fetch_nothing_from_elsewhere() -> None:
    sheets = [*built("*.css"), *built("*.svg")]
    assert [s for s in sheets if REMOTE.search(s.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("picture", sorted(SOURCES.glob("pictures/*.svg")), ids=lambda p: p.stem)
def test_pictures_can_be_heard_and_seen_in_the_dark(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    labels = [root.find(f"{SVG}{name}") for name in ("title", "desc")]
    assert [label.get("id") for label in labels if label is not None and label.text] == (
        root.get("aria-labelledby", "").split()
    )
    assert root.get("role") == "img"
    assert "prefers-color-scheme: dark" in text
    alternatives = re.findall(r"!\[([^\]]+)\]\([^)]*" + picture.name, all_sources())
    assert alternatives, "No page shows it, or it has no text beside it."


def all_sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.rglob("*.md")))
