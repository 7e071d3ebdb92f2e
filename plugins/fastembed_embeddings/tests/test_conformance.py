from __future__ import annotations

from pathlib import Path

import pytest

from plugins.fastembed_embeddings.tests.models import make_model
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend
from wagtail_vector_index.reranking.fastembed import FastEmbedReranker
from wagtail_vector_index.testing import EmbeddingBackendConformance, RerankingBackendConformance


class TestFastEmbed(EmbeddingBackendConformance):
    @pytest.fixture(autouse=True)
    def model(self, tmp_path: Path) -> None:
        self.folder = make_model(tmp_path)

    def make_backend(self) -> FastEmbedBackend:
        options = FastEmbedBackend.Options(
            model_path=self.folder, pooling="mean", document_prefix="passage: ", threads=2
        )
        return FastEmbedBackend("default", options)


class TestReranker(RerankingBackendConformance):
    #: The made model knows no language, but prefers this text.
    answer = "knead " * 20

    @pytest.fixture(autouse=True)
    def model(self, tmp_path: Path) -> None:
        self.folder = make_model(tmp_path, dimensions=1, pooled=True, file="onnx/model.onnx")

    def make_backend(self) -> FastEmbedReranker:
        options = FastEmbedReranker.Options(
            model="Xenova/ms-marco-MiniLM-L-6-v2", model_path=self.folder
        )
        return FastEmbedReranker("default", options)
