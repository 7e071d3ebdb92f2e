"""An embedding backend that takes almost no time, so that the benchmarks measure our code."""

import functools
import hashlib
from dataclasses import dataclass

from wagtail_vector_index.embeddings.base import EmbeddingBackend

SUBJECTS = 500


class HashEmbeddings(EmbeddingBackend):
    """Makes a vector of a text's hash, near one of 500 subjects. Equal texts get equal vectors."""

    @dataclass(frozen=True, kw_only=True)
    class Options(EmbeddingBackend.Options):
        dimensions: int = 384

    @property
    def known_dimensions(self):
        return self.options.dimensions

    def embed(self, texts):
        import numpy as np

        size = self.dimensions
        digests = [hashlib.shake_128(text.encode()).digest(size) for text in texts]
        components = np.frombuffer(b"".join(digests), np.int8).astype(np.float32)
        components *= np.float32(0.7)
        subjects = b"".join(
            _subject((digest[0] + 256 * digest[1]) % SUBJECTS, size) for digest in digests
        )
        components += np.frombuffer(subjects, np.int8)
        components += np.float32(0.05)  # never a zero vector
        return memoryview(components)


@functools.lru_cache(maxsize=SUBJECTS)
def _subject(number, size):
    return hashlib.shake_128(b"subject %d" % number).digest(size)
