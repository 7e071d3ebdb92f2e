"""Tests that the example backends use only public names, as third parties must."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from core.tests.test_public_api import PROMISED

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("examples/*/src/**/*.py"))

pytestmark = pytest.mark.once


def test_there_are_examples():
    assert SOURCES


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_public_names_are_used(source):
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not [name for name in node.names if name.name.startswith("wagtail_vector_index")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "wagtail_vector_index"
        ):
            assert node.module in PROMISED
            public = importlib.import_module(node.module).__all__
            assert {name.name for name in node.names} <= set(public)


def test_the_smallest_example_has_the_lines_that_its_page_tells():
    """Comments, docstrings and empty lines do not count."""
    folder = ROOT / "examples" / "sqlitevec_backend" / "src" / "sqlitevec_wagtail_vectors"
    assert sum(map(lines_of_code, folder.glob("*.py"))) < 150


def lines_of_code(source):
    text = source.read_text()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    told = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented) and ast.get_docstring(node)
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }
    return sum(
        number not in told and line.strip() != "" and not line.strip().startswith("#")
        for number, line in enumerate(text.splitlines(), 1)
    )
