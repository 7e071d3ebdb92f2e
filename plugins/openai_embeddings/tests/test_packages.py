"""The packages of the backends import no client, and have the names that they export."""

from __future__ import annotations

import importlib

import pytest

from tests.clean_python import run_python

CLASSES = {
    "chat": "OpenAIChatBackend",
    "embeddings": "OpenAIEmbeddings",
    "reranking": "ServiceReranker",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_nothing_is_imported_before_it_is_needed(kind: str) -> None:
    name = CLASSES[kind]
    code = f"""
import sys
from wagtail_vector_index.embeddings.openai import plugin
assert not [name for name in sys.modules if name.endswith(".openai.backend")]
from wagtail_vector_index.{kind}.openai import {name}
options = {name}.Options(model="m", api_key="k", host="https://example.com/v1")
backend = {name}("default", options)
assert backend.check() == []
if {kind == "chat"}:
    backend.stream([])
assert not {{"openai", "httpx", "httpx2", "pydantic", "numpy"}} & set(sys.modules)
"""
    assert run_python(code) == ""


@pytest.mark.parametrize("kind", CLASSES)
def test_unknown_names_of_the_package(kind: str) -> None:
    package = importlib.import_module(f"wagtail_vector_index.{kind}.openai")
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = package.Nothing
