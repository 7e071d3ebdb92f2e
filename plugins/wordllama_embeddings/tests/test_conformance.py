from __future__ import annotations

from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings
from wagtail_vector_index.testing import EmbeddingBackendConformance


class TestWordLlama(EmbeddingBackendConformance):
    def make_backend(self) -> WordLlamaEmbeddings:
        return WordLlamaEmbeddings("default", WordLlamaEmbeddings.Options())
