"""An embedding backend for tests: a bag of words, counted."""

import hashlib
from dataclasses import dataclass

from wagtail_vector_index.embeddings.base import EmbeddingBackend


class WordEmbeddings(EmbeddingBackend):
    """Texts that share words are near. Counts what it is asked, and can be told to fail."""

    @dataclass(frozen=True, kw_only=True)
    class Options(EmbeddingBackend.Options):
        model: str = "words"
        dimensions: int = 64

    max_batch_texts = 8

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.texts = []
        self.calls = 0
        #: Called with the texts before they are embedded; what it raises is raised.
        self.before = lambda texts: None

    @property
    def known_dimensions(self):
        return self.options.dimensions

    @property
    def max_tokens(self):
        return 100

    def count_tokens(self, text):
        return len(text.split())

    def embed(self, texts):
        self.before(texts)
        self.calls += 1
        self.texts.extend(texts)
        return [self._vector(text) for text in texts]

    def _vector(self, text):
        vector = [0.0] * self.dimensions
        vector[0] = 0.01
        for word in text.lower().split():
            digest = hashlib.md5(word.strip(".,:!?").encode(), usedforsecurity=False).digest()
            vector[int.from_bytes(digest[:4]) % self.dimensions] += 1.0
        return vector
