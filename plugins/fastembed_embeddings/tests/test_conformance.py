from __future__ import annotations

from pathlib import Path

import pytest

from plugins.fastembed_embeddings.tests.models import make_model
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend
from wagtail_vector_index.testing import EmbeddingBackendConformance


class TestFastEmbed(EmbeddingBackendConformance):
    @pytest.fixture(autouse=True)
    def model(self, tmp_path: Path) -> None:
        self.folder = make_model(tmp_path)

    def make_backend(self) -> FastEmbedBackend:
        options = FastEmbedBackend.Options(
            model_path=self.folder, pooling="mean", document_prefix="passage: ", threads=2
        )
        return FastEmbedBackend("default", options)
