"""What LangChain's own tests do not ask of the adapter."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db.models import Q
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.exceptions import InvalidQuery
from wagtail_vector_index.testing import OracleBackend
from wagtail_vector_index.testing.langchain import BackendVectorStore, temporary_store

pytestmark = pytest.mark.once

EMBEDDING = DeterministicFakeEmbedding(size=6)
TEXTS = {"one": 1, "two": 2, "three": 3}


@pytest.fixture
def backend():
    return OracleBackend()


@pytest.fixture
def store(backend):
    with temporary_store(backend, EMBEDDING, fields={"number": "int"}) as store:
        metadatas = [{"number": number} for number in TEXTS.values()]
        store.add_texts(TEXTS, metadatas, ids=list(TEXTS))
        yield store


def document(text):
    return Document(id=text, page_content=text, metadata={"number": TEXTS[text]})


def test_filters_are_those_of_the_backend(store):
    found = store.similarity_search("three", k=3, filter=Q(number__lt=3))
    assert sorted(each.id for each in found) == ["one", "two"]


def test_scores_are_those_of_the_backend(store):
    scored = store.similarity_search_with_score("two", k=3)
    assert scored[0] == (document("two"), pytest.approx(1))
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)


async def test_scores_come_asynchronously_too(store):
    scored = await store.asimilarity_search_with_score("two", k=1)
    assert scored == [(document("two"), pytest.approx(1))]


def test_search_by_vector(store):
    vector = store.embeddings.embed_query("one")
    assert store.similarity_search_by_vector(vector, k=1) == [document("one")]


def test_as_retriever(store):
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("one") == [document("one")]


def test_delete_without_ids_deletes_all(store):
    assert store.delete() is True
    assert store.similarity_search("one") == []


async def test_adelete_without_ids_deletes_all(store):
    assert await store.adelete() is True
    assert store.similarity_search("one") == []


def test_texts_need_as_many_metadatas_and_ids(store):
    with pytest.raises(InvalidQuery, match="1 texts came with 2 metadatas and 1 ids"):
        store.add_texts(["four"], [{}, {}])


def test_from_texts(backend):
    spec = CollectionSpec(name="given", dimensions=6)
    store = BackendVectorStore.from_texts(
        ["one"], EMBEDDING, [{"number": 1}], ids=["one"], backend=backend, spec=spec
    )
    assert store.get_by_ids(["one"]) == [document("one")]
    with pytest.raises(TypeError, match="needs backend= and spec="):
        BackendVectorStore.from_texts(["one"], EMBEDDING)


def test_a_temporary_store_leaves_nothing(backend):
    with temporary_store(backend, EMBEDDING) as store:
        assert backend.collections() == [store.spec.name]
    assert backend.collections() == []


def test_without_langchain_the_error_names_the_remedy():
    program = (
        "import sys; sys.modules['langchain_core'] = None;"
        "import wagtail_vector_index.testing.langchain"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "pip install langchain-tests" in done.stderr.splitlines()[-1]
