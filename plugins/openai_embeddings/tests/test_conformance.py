from __future__ import annotations

import pytest

from plugins.openai_embeddings.tests.conftest import MakeBackend, MakeReranker
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings
from wagtail_vector_index.reranking.openai import ServiceReranker
from wagtail_vector_index.testing import EmbeddingBackendConformance, RerankingBackendConformance


class TestOpenAI(EmbeddingBackendConformance):
    @pytest.fixture(autouse=True)
    def service_to_ask(self, make_backend: MakeBackend) -> None:
        self.make = make_backend

    def make_backend(self) -> OpenAIEmbeddings:
        return self.make()


class TestReranker(RerankingBackendConformance):
    @pytest.fixture(autouse=True)
    def service_to_ask(self, make_reranker: MakeReranker) -> None:
        self.make = make_reranker

    def make_backend(self) -> ServiceReranker:
        return self.make()
