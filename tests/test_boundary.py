"""Tests that plugins import only public names, and that all public names are documented."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tests.public import FOR_AUTHORS, PUBLIC

ROOT = Path(__file__).parent.parent

API_PAGE = ROOT / "docs" / "reference" / "api.md"
HOOKS_PAGE = ROOT / "docs" / "reference" / "hooks.md"

SOURCES = [
    *sorted(ROOT.glob("plugins/*/src")),
    *sorted(ROOT.glob("examples/*/src")),
    *sorted(ROOT.glob("*/src/wagtail_vector_index/scaffold/templates/*/src")),
]


def modules_of(source):
    """Yield each Python file, or template of one, of a distribution, with its dotted name."""
    for path in sorted([*source.rglob("*.py"), *source.rglob("*.py-tpl")]):
        yield path, ".".join(path.relative_to(source).with_suffix("").parts)


def imported(path, name):
    """Yield the module and the name of each import, relative ones as well."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py-tpl":
        text = re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", "placeholder", text))
    package = name.removesuffix(".__init__") if name.endswith(".__init__") else parent(name)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            relative = f"{'.' * node.level}{node.module or ''}"
            module = resolve_name(relative, package) if node.level else relative
            yield from ((module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)


def parent(name):
    return name.rpartition(".")[0]


def is_public(module, name):
    if module not in FOR_AUTHORS:
        return False
    # Only to look up a name, the module is imported, since its optional library may be missing.
    return name is None or name in importlib.import_module(module).__all__


def test_no_distribution_is_forgotten():
    """Seven plugins, two examples, and three parts of the generated distributions."""
    assert len(SOURCES) >= 12


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_only_what_is_public(source):
    modules = list(modules_of(source))
    own = {name.removesuffix(".__init__") for _, name in modules}
    refused = [
        f"{path.relative_to(ROOT)}: {module}.{name}"
        for path, dotted in modules
        for module, name in imported(path, dotted)
        if module.partition(".")[0] == "wagtail_vector_index"
        and not {module, f"{module}.{name}"} & own
        and not is_public(module, name)
    ]
    assert modules
    assert refused == []


@pytest.mark.parametrize("module", PUBLIC)
def test_what_is_public_is_documented(module):
    """Check that the API page has the module, and every name of it or an ``automodule``."""
    page = API_PAGE.read_text(encoding="utf-8")
    public = importlib.import_module(module).__all__
    pages = page + HOOKS_PAGE.read_text(encoding="utf-8")
    missing = [name for name in public if not re.search(rf"\b{name}\b", pages)]
    assert re.search(rf"\b{re.escape(module)}\b", page)
    assert missing == [] or f"automodule:: {module}\n   :members:\n" in page
