"""An embedding backend that costs next to nothing, so that what is measured is ours."""

import hashlib
from dataclasses import dataclass

from wagtail_vector_index.embeddings.base import EmbeddingBackend


class HashEmbeddings(EmbeddingBackend):
    """Each text gets pseudo-random components; equal texts get equal vectors."""

    @dataclass(frozen=True, kw_only=True)
    class Options(EmbeddingBackend.Options):
        dimensions: int = 384

    @property
    def known_dimensions(self):
        return self.options.dimensions

    def embed(self, texts):
        import numpy as np

        size = self.dimensions
        digests = b"".join(hashlib.shake_128(text.encode()).digest(size) for text in texts)
        components = np.frombuffer(digests, np.int8).astype(np.float32)
        components += 0.5  # never a zero vector
        return memoryview(components)
