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
