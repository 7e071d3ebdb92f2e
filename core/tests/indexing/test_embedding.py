"""Texts that the index tables do not know are embedded, several batches at once if asked for."""

from __future__ import annotations

import threading

import pytest

from wagtail_vector_index.exceptions import EmbeddingUnavailable
from wagtail_vector_index.indexing.embedding import embedding_ids
from wagtail_vector_index.models import Embedding
from wagtail_vector_index.plugins.documents import PreparedDocument

pytestmark = pytest.mark.django_db

SECONDS = 30


@pytest.fixture
def together(embedder, monkeypatch):
    """The embedding backend, which may embed three batches of two texts at once."""
    monkeypatch.setattr(type(embedder), "max_batch_texts", 2)
    monkeypatch.setattr(type(embedder), "concurrency", 3)
    return embedder


def documents(count):
    texts = [f"text{number}" for number in range(count)]
    return [PreparedDocument(context="", text=text, metadata={}) for text in texts]


def stored():
    return set(Embedding.objects.values_list("content_hash", flat=True))


def test_batches_are_embedded_at_once(together):
    three = threading.Barrier(3)
    together.before = lambda texts: three.wait(SECONDS)
    wanted, progress = documents(6), []
    ids = embedding_ids(together, wanted, {}, progress.append)
    assert set(ids) == {document.content_hash for document in wanted}
    assert together.calls == 3
    assert progress == [2, 2, 2]


def test_never_more_batches_than_allowed_are_embedded_at_once(together):
    running, most, lock = 0, 0, threading.Lock()
    embed = together.embed

    def counted(texts):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return embed(texts)
        finally:
            with lock:
                running -= 1

    together.embed = counted
    try:
        embedding_ids(together, documents(40), {})
    finally:
        del together.embed
    assert most <= 3
    assert len(stored()) == 40


def test_each_text_keeps_its_own_vector(together):
    wanted = documents(11)
    embedding_ids(together, wanted, {})
    for document in wanted:
        (vector,) = together.embed_documents([document.embedded_text])
        row = Embedding.objects.get(content_hash=document.content_hash)
        assert bytes(row.vector) == vector.tobytes()


def test_by_default_one_batch_follows_the_other(embedder):
    threads = set()
    embedder.before = lambda texts: threads.add(threading.current_thread())
    embedding_ids(embedder, documents(20), {})
    assert threads == {threading.current_thread()}


def test_a_text_that_fails_fails_alone(together):
    wanted, errors = documents(9), {}

    def refuse(texts):
        if "text4" in texts:
            raise ValueError("text4 is refused")

    together.before = refuse
    embedding_ids(together, wanted, errors)
    assert list(errors) == [wanted[4].content_hash]
    assert stored() == {document.content_hash for document in wanted} - set(errors)


def test_what_is_under_way_when_the_service_fails_is_stored(together):
    """It is paid for."""
    three = threading.Barrier(3)
    wanted = documents(6)

    def fail(texts):
        if list(texts) != ["test"]:
            three.wait(SECONDS)
        if list(texts) in (["text2", "text3"], ["test"]):
            raise EmbeddingUnavailable("the service is down")

    together.before = fail
    with pytest.raises(EmbeddingUnavailable):
        embedding_ids(together, wanted, {})
    assert stored() == {document.content_hash for document in (*wanted[:2], *wanted[4:])}
