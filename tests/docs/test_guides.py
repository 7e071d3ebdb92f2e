"""Every block of the documentation is tried: run, made, or parsed by what would read it.

The tutorial is followed word for word by `nox -s release`.
"""

from __future__ import annotations

import inspect
import re
import shlex
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.test import override_settings

from wagtail_vector_index.plugins import PreparedDocument, hookimpl, hookspecs
from wagtail_vector_index.plugins.handlers import HANDLERS

from .code_blocks import ROOT, Block, block, blocks, said_by
from .guides_site import guides, titles, views

SITE = Path(__file__).with_name("guides_site.py")
#: Backends that are not installed here: of somebody else, and the examples.
OTHERS = re.compile('"(acme|sqlitevec|usearch)"')
KINDS = (
    "# settings.py",
    "# blog/",
    "# python manage.py shell",
    "# redaction/plugin.py",
    "# searchlog/plugin.py",
)

configuring = [
    b
    for b in blocks("python")
    if re.search(r"^WAGTAIL_VECTOR_INDEX_", b.code, re.MULTILINE) and not OTHERS.search(b.code)
]


HOW_TO = ROOT / "docs" / "how-to"
#: What the site consists of, and the guides that show each file.
FILES = {
    "blog/models.py": ("filter-and-narrow.md", "related-objects.md", "languages.md"),
    "blog/vector_indexes.py": ("index-several-models.md",),
    "blog/ask.py": ("answers.md",),
    "blog/promoted.py": ("promote-and-log.md",),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a project folder with files of the guides."""
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "__init__.py").touch()
    for name, guides_of_file in FILES.items():
        code = "\n\n".join(block(name, HOW_TO / guide) for guide in guides_of_file)
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def test_guides_work(site: Path) -> None:
    said = said_by(SITE, site)
    run = [b for b in guides("python") if b.title.startswith("python manage.py shell")]
    assert run
    assert [str(b) for b in run if str(b) not in said] == []
    assert "Your first loaf</a></li>" in said, "no related pages"
    assert "Your first loaf</a></h2>" in said, "no search results"
    assert "200 Mix flour and water [1]. \n\n[1] Your first loaf: http" in said
    assert "400 Ask a question" in said
    assert "503 Questions cannot be answered now." in said
    [page] = [line for line in said.splitlines() if line.startswith("promoted page:")]
    assert titles(page)[:3] == ["Gift vouchers", "The mill", "Your first loaf"]
    assert '<h2><a href="https://mill.example/">The mill</a></h2>' in page
    assert "<p>Where our flour comes from</p>" in page
    assert "Opening hours" not in page.partition("Your first loaf")[0]
    assert "BlogPage has no answer to 'tax of bicycles' (" in said
    assert "has no answer to 'how do I bake bread?'" not in said
    assert "/drf/ 200 Your first loaf How to bake bread at home" in said
    assert "/ninja/search 200 Your first loaf How to bake bread at home" in said
    assert "/api/v2/pages/ 200 Your first loaf" in said
    assert "grapple: 200 Your first loaf How to bake bread at home" in said
    pages = dict(re.findall(r"^search page, (\w+): (.*)$", said, re.MULTILINE))
    assert "Your first loaf</a></h2> <p>How to" in pages["question"]
    assert 'href="?q=how+do+I+bake+bread%3F&amp;owner=baker">baker (1)</a>' in pages["question"]
    assert "<p>1 page found</p>" in pages["owner"]
    assert pages["scanner"] == "This search is not possible."
    assert "Nothing was found." in pages["nonsense"]
    assert "Pumpernickel | Steam the rye dough overnight." in said
    languages = said.partition("Dutch: ")[2]
    assert languages.startswith("| Je eerste brood | Rye sourdough\n")
    assert languages.count("translated: ") == languages.count("translated: Je eerste brood") == 1
    loaves = {"en": "Your first loaf", "nl": "Je eerste brood", "private": "Your first"}
    for who, title in loaves.items():
        [once] = re.findall(f"^once, {who}: (.*)$", languages, re.MULTILINE)
        assert (title in once, once.count("loaf") + once.count("eerste brood")) == (True, 1)
    assert "in Dutch: Kneed het deeg. Zet het <mark>brood</mark> in een hete oven." in languages
    assert "terms: desem\n" in languages
    assert "asynchronously: 200 Mix flour and water [1]. \n\n[1] Your first loaf: http" in said
    assert "asynchronously: 503 Questions cannot be answered now." in said
    for language in ("en", "nl"):
        for view in views():
            [page] = re.findall(f"^view {language} {view} (.*)$", said, re.MULTILINE)
            assert "Rye sourdough" in titles(page), (language, view)
        [page] = re.findall(f"^fallback {language} (.*)$", said, re.MULTILINE)
        assert "Rye sourdough" in titles(page), language
    [page] = re.findall("^fallback private (.*)$", said, re.MULTILINE)
    assert "Rye sourdough" not in titles(page)
    assert re.findall("^main site: (.*)$", said, re.MULTILINE) == ["en", "nl"]
    assert re.search(r'<a href="[^"]*/bread\w*\.pdf">Bread, a manual</a></h2>', said)


REDACTING = [
    block("redaction/plugin.py", HOW_TO / "privacy.md"),
    dedent((inspect.getdoc(hookspecs.documents_prepared) or "").partition("Example::")[2]),
]


@pytest.mark.parametrize("code", REDACTING, ids=["guide", "hookspec"])
def test_examples_that_redact_leave_no_address(code: str) -> None:
    mail = "joe@example.com"
    plugin: dict[str, Any] = {
        "hookimpl": hookimpl,
        "replace": replace,
        "mask_emails": lambda text: text.replace(mail, "…"),
    }
    exec(code, plugin)  # the document's code
    document = PreparedDocument(text=f"Ask {mail}", context=f"Bread of {mail}", metadata={})
    [redacted] = plugin["documents_prepared"]([document])
    assert redacted.embedded_text == "Bread of …\n\nAsk …"


@pytest.mark.parametrize("block", guides("python"), ids=str)
def test_blocks_say_what_they_are(block: Block) -> None:
    """By this they are run, or known to be of a kind that is tried otherwise."""
    first = block.code.partition("\n")[0]
    assert first.startswith(KINDS)


@pytest.mark.parametrize("block", configuring, ids=str)
def test_settings_are_accepted(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backend is made with the options that a block gives it, which asks no service."""
    for name in ("QDRANT_URL", "WEAVIATE_URL"):
        monkeypatch.setenv(name, "https://vectors.example.org")
    for service in ("OPENAI", "AZURE_OPENAI", "COHERE", "NVIDIA", "QDRANT", "WEAVIATE"):
        monkeypatch.setenv(f"{service}_API_KEY", "a-key")
    values: dict[str, Any] = {"INSTALLED_APPS": []}
    exec(compile(block.code, str(block), "exec"), values)
    given = {name: value for name, value in values.items() if name.isupper()}
    given.pop("INSTALLED_APPS")
    with override_settings(**given):
        for handler in HANDLERS:
            for alias in handler if handler.setting in given else ():
                handler[alias].check()


@pytest.mark.parametrize("block", [b for b in blocks("sh") if "manage.py" in b.code], ids=str)
def test_management_commands_exist(block: Block) -> None:
    """With the options that a block gives them."""
    commands = get_commands()
    for line in block.code.splitlines():
        words = shlex.split(line)
        if words[:2] == ["python", "manage.py"] and words[2] not in OF_OTHERS:
            command = load_command_class(commands[words[2]], words[2])
            command.create_parser("manage.py", words[2]).parse_args(words[3:])


#: Those of apps that the tests' settings do without.
OF_OTHERS = {"db_worker", "rqworker", "update_index"}
