"""The README's "On your site", followed step by step on a site of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .code_blocks import block, said_by

SITE = Path(__file__).with_name("readme_site.py")
PAGE_BLOCK = "in class BlogPage"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the files that the README has one write."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "blog").mkdir()
    (folder / "blog" / "__init__.py").touch()
    fields = "".join(f"    {line}\n" for line in block(PAGE_BLOCK).splitlines())
    (folder / "blog" / "models.py").write_text(block("blog/models.py") + fields, encoding="utf-8")
    (folder / "blog" / "vector_indexes.py").write_text(
        block("blog/vector_indexes.py"), encoding="utf-8"
    )
    return folder


def test_readme_site_works(site: Path) -> None:
    said = said_by(SITE, site)
    assert "Your first loaf</a></li>" in said, "no related pages"
    assert "Your first loaf</a></h2>" in said, "no search results"
    best = said.strip().splitlines()[-5:][0]
    assert "Your first loaf" in best
    assert "200 Mix flour and water [1]. \n\n[1] Your first loaf: http" in said
    assert "400 Ask a question" in said
    assert "asynchronously: Mix flour and water [1]. \nYour first loaf: http" in said.replace(
        "\n\n", "\n"
    )
