"""LangChain's public tests for vector stores, on every backend."""

from __future__ import annotations

import pytest
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.testing.langchain import temporary_store

pytestmark = pytest.mark.once


class OnBackend(VectorStoreIntegrationTests):
    #: The head of its column in the documentation's table.
    title = ""

    @pytest.fixture
    def vectorstore(self, backend):
        with temporary_store(backend, self.get_embeddings()) as store:
            yield store


class TestNumpy(OnBackend):
    title = "NumPy"

    @pytest.fixture
    def backend(self):
        return NumpyBackend("default", NumpyBackend.Options())


class TestPgvector(OnBackend):
    title = "pgvector"

    @pytest.fixture
    def backend(self, alias):
        return PgvectorBackend("default", PgvectorBackend.Options(database=alias))


class TestQdrantInMemory(OnBackend):
    title = "Qdrant, in memory"

    @pytest.fixture
    def backend(self):
        return QdrantBackend("default", QdrantBackend.Options(location=":memory:"))


class TestQdrantDouble(OnBackend):
    title = "Qdrant, a double"

    @pytest.fixture
    def backend(self, qdrant_double):
        return QdrantBackend("default", QdrantBackend.Options(host=qdrant_double.url))


class TestWeaviateDouble(OnBackend):
    title = "Weaviate, a double"

    @pytest.fixture
    def backend(self, weaviate_server):
        return WeaviateBackend("default", WeaviateBackend.Options(**weaviate_server.options))
