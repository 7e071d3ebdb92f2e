"""The reference names all that exists, and nothing that doesn't."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.utils.module_loading import import_string

from core.tests.test_public_api import PROMISED, modules
from wagtail_vector_index.checks import LEGACY_SETTINGS
from wagtail_vector_index.content.declaration import IndexDeclaration
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.plugins import django_apps, hookspecs
from wagtail_vector_index.plugins.discovery import registry
from wagtail_vector_index.wagtail_search import SearchBackendOptions

from .code_blocks import ROOT, documents

REFERENCE = ROOT / "docs" / "reference"
APP = "wagtail_vector_index"
#: What the guide to upgrade says that release 0.10 had.
OLD_MODULES = tuple(f"{APP}.{name}." for name in ("ai", "ai_utils", "storage"))
CODE = [
    path for folder in ("core/src", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))
]
COMMANDS = sorted(name for name, app in get_commands().items() if app == APP)
#: Those that every command of Django's has.
COMMON = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback"} | {
    "--no-color", "--force-color", "--skip-checks", "-h", "-v",
}  # fmt: skip
BACKENDS = sorted(
    {
        (plugin.source.name, spec.path)
        for plugin in registry().plugins
        for specs in plugin.backends.values()
        for spec in specs.values()
    }
)


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def built(name: str) -> str:
    """The page as it is read in a browser."""
    folder = ROOT / "docs" / "_build" / "html" / "reference"
    return (folder / f"{name}.html").read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second level, by the code in the heading."""
    parts = re.split(r"^## `(\S+)`$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_cells(text: str) -> set[str]:
    """The names in the first column of all tables."""
    rows = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_settings() -> None:
    exist = {
        name for path in CODE for name in re.findall(r"\bWAGTAIL_VECTOR_INDEX_[A-Z_]+", read(path))
    }
    told = set(sections(page("settings")))
    assert told == exist - LEGACY_SETTINGS.keys() | {"WAGTAILSEARCH_BACKENDS"}


def test_search_backend_options() -> None:
    exist = {field.name.upper() for field in dataclasses.fields(SearchBackendOptions)}
    assert first_cells(sections(page("settings"))["WAGTAILSEARCH_BACKENDS"]) == exist


@pytest.mark.parametrize(("plugin", "path"), BACKENDS)
def test_options_of_backends(plugin: str, path: str) -> None:
    """The guide of a plugin tells of every option, and of no other."""
    told = first_cells(readme_of(plugin))
    exist = {field.name.upper() for field in dataclasses.fields(import_string(path).Options)}
    assert exist - told == set()
    others = {
        field.name.upper()
        for name, other in BACKENDS
        if name == plugin
        for field in dataclasses.fields(import_string(other).Options)
    }
    assert {name for name in told if name.isupper()} - others == set()


def readme_of(plugin: str) -> str:
    guide = ROOT / "docs" / "how-to" / "backends" / f"{plugin}.md"
    [included] = re.findall(r"^:::\{include\} (\S+)$", read(guide), re.MULTILINE)
    return read(guide.parent / included)


def test_sizes() -> None:
    """The table of what vectors take is computed from their four bytes a dimension."""
    scaling = read(ROOT / "docs" / "how-to" / "scaling.md")
    rows = re.findall(r"^\| ([\d,]+) \| (.*) MB \|$", scaling, re.MULTILINE)
    assert len(rows) == 3
    for chunks, sizes in rows:
        bytes_each = [int(chunks.replace(",", "")) * 4 * n for n in (256, 384, 1536)]
        assert sizes.split(" MB | ") == [f"{round(size / 1e6):,}" for size in bytes_each]


def test_commands() -> None:
    told = sections(page("commands"))
    assert set(told) == set(COMMANDS)
    for name, text in told.items():
        parser = load_command_class(APP, name).create_parser("manage.py", name)
        options = {o for action in parser._actions for o in action.option_strings}
        assert first_cells(text) == options - COMMON, name


def test_checks() -> None:
    pattern = rf"\b{APP}(?:_\w+)?\.[EWI]\d{{3}}\b"
    exist = {
        id for path in CODE if "/tests/" not in str(path) for id in re.findall(pattern, read(path))
    }
    assert first_cells(page("checks")) == exist


def test_hooks() -> None:
    """Their signatures and docstrings are read from the code when the site is built."""
    names = [name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)]
    specs = [n for n in names if hasattr(getattr(hookspecs, n), f"{APP}_spec")]
    assert len(specs) > 3
    text = built("hooks")
    for name in specs:
        assert f'id="{hookspecs.__name__}.{name}"' in text
        assert (inspect.getdoc(getattr(hookspecs, name)) or "").split("\n")[0][:30] in text


@pytest.mark.parametrize("module", PROMISED)
def test_public_names(module: str) -> None:
    """What is promised to be public is on the page of the API, or on that of the hooks."""
    text = built("api") + built("hooks")
    assert [name for name in PROMISED[module] if f'id="{module}.{name}"' not in text] == []


def test_every_type_in_a_signature_is_documented() -> None:
    """A reader can look up each of our types that a documented function takes or returns."""
    text = built("api") + built("hooks")
    ids = re.findall(r'<dt class="sig[^"]*" id="([^"]+)"', text)
    documented = {id.rpartition(".")[2] for id in ids}
    ours = {
        name
        for module in [*modules(), *PROMISED]
        for name in importlib.import_module(module).__all__
        if name[0].isupper()
    }
    signatures = re.findall(r'<dt class="sig.*?</dt>', text, re.DOTALL)
    assert len(signatures) > 100
    named = set(re.findall(r"\w+", re.sub(r"<[^>]+>", " ", " ".join(signatures))))
    assert named & ours - documented == set()


def test_paths_in_settings() -> None:
    paths = {path for _, path in BACKENDS}
    assert {*paths, *django_apps()} <= first_cells(page("api"))


def test_what_an_index_declares() -> None:
    declared = {**IndexDeclaration.__annotations__, **VectorIndex.__annotations__}
    names = [name for name in declared if not name.startswith("_")]
    assert len(names) > 10
    text = built("api")
    id = f'id="{VectorIndex.__module__.rpartition(".")[0]}.VectorIndex'
    assert [name for name in names if f'{id}.{name}"' not in text] == []


def test_no_sentence_is_taken_for_a_type() -> None:
    """Where an attribute's first line has a colon, Sphinx takes what is before it for its type."""
    assert not re.search(r"<dt[^>]*>Type<", built("api"))


@pytest.mark.parametrize("document", documents(), ids=lambda d: str(d.relative_to(ROOT)))
def test_dotted_paths_exist(document: Path) -> None:
    for path in set(re.findall(rf"\b{APP}(?:\.[A-Za-z]\w*)+\b", read(document))):
        is_old = document.name == "upgrade.md" and path.startswith(OLD_MODULES)
        if not is_old and not re.search(r"\.[EW]\d{3}$", path):
            assert exists(path), path


def exists(path: str) -> bool:
    """Whether this is a module, or leads to something within one."""
    names = path.split(".")
    for length in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        for name in names[length:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
