"""The conformance suite on the client's local mode."""

from __future__ import annotations

from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.testing import VectorBackendConformance


class TestQdrantInMemory(VectorBackendConformance):
    def make_backend(self) -> QdrantBackend:
        return QdrantBackend("default", QdrantBackend.Options(location=":memory:"))
