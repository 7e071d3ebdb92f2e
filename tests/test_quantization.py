"""Tests that searches by signs find what exact searches find, on embeddings of real text."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest

from benchmarks.chunks import chunks
from benchmarks.questions import OTHER_WORDS, SAME_WORDS
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.quantized import QuantizedVectors
from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings

COUNT = 5_000
SPEC = CollectionSpec(name="chunks", dimensions=256)


@pytest.fixture(scope="module")
def model() -> Iterator[WordLlamaEmbeddings]:
    backend = WordLlamaEmbeddings("default", WordLlamaEmbeddings.Options())
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def batch(model: WordLlamaEmbeddings) -> RecordBatch:
    """Records with embeddings of docstrings of Python's standard library."""
    texts = list(chunks(COUNT, [sysconfig.get_path("stdlib")]))
    assert len(texts) == COUNT
    vectors = np.reshape(model.embed(texts), (COUNT, -1))
    return RecordBatch.of(ids=[UUID(int=n) for n in range(COUNT)], vectors=vectors)


def test_recall(
    monkeypatch: pytest.MonkeyPatch, model: WordLlamaEmbeddings, batch: RecordBatch
) -> None:
    monkeypatch.setattr(QuantizedVectors, "exact_rows", 1_000)
    monkeypatch.setattr(QuantizedVectors, "largest_share", 0.5)
    backends = [
        NumpyBackend("default", NumpyBackend.Options(quantization=quantization))
        for quantization in ("none", "binary")
    ]
    for backend in backends:
        backend.create(SPEC)
        backend.upsert(SPEC, batch)
    questions = [*SAME_WORDS, *OTHER_WORDS]
    hits = 0
    for query in np.reshape(model.embed(questions), (len(questions), -1)):
        exact, found = (dict(_scores(backend, query)) for backend in backends)
        hits += len(exact.keys() & found.keys())
        assert all(found[id] == exact[id] for id in exact.keys() & found.keys())
    assert hits / len(questions) / 10 >= 0.99


def _scores(backend: NumpyBackend, query: object) -> list[tuple[UUID, float]]:
    return [(match.id, match.score) for match in backend.search(SPEC, query, limit=10)]
