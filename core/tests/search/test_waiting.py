"""A new process whose embedding service limits the rate: visitors do not wait as indexing does."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from plugins.openai_embeddings.tests.server import Reply, running_service, vector_of
from tests.testapp.models import Note
from wagtail_vector_index.exceptions import EmbeddingUnavailable, IndexOutdated
from wagtail_vector_index.handlers import embedding_backends

NOTES = Note.vector_index

#: A service that limits the rate, and how long indexing waits for it. No test waits so long.
LIMITED = Reply(429, b"", headers={"Retry-After": "60"})


SEARCHES = {
    "search": lambda: list(NOTES.search("bread")),
    "asearch": lambda: async_to_sync(NOTES.asearch)("bread"),
}
SIMILAR = {
    "find_similar": lambda: list(NOTES.find_similar(Note.objects.get(text="bread"))),
    "afind_similar": lambda: async_to_sync(NOTES.afind_similar)(Note.objects.get(text="bread")),
}


@pytest.fixture
def service():
    with running_service() as service:
        yield service


@pytest.fixture
def new_worker(transactional_db, service, settings, bring_up_to_date, monkeypatch):
    """Starts a process that has not asked the service for anything, with changed options."""
    monkeypatch.setenv("NO_PROXY", "*")
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False

    def start(**options):
        given = {"MODEL": "test", "HOST": service.url, "MAX_RETRIES": 3, "QUERY_TIMEOUT": 5.0}
        settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "openai", **given, **options}
        }
        assert "dimensions" not in vars(embedding_backends["default"])
        service.requests.clear()

    start()
    for text in ("bread", "bread and butter"):
        Note.objects.create(text=text)
    bring_up_to_date("testapp.Note")
    return start


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_search_sends_its_query_and_nothing_else(new_worker, service, search):
    new_worker()
    assert len(search()) == 2
    new_worker()
    service.always = LIMITED
    with pytest.raises(EmbeddingUnavailable, match="limits the rate"):
        search()
    assert [request.body["input"] for request in service.requests] == [["bread"]]


@pytest.mark.parametrize("search", SIMILAR.values(), ids=SIMILAR)
def test_similar_objects_need_no_service(new_worker, service, search):
    new_worker()
    service.always = LIMITED
    assert [note.text for note in search()] == ["bread and butter"]
    assert not service.requests


@pytest.mark.parametrize("search", [*SEARCHES.values(), *SIMILAR.values()], ids=SEARCHES | SIMILAR)
def test_another_model_is_noticed_without_a_request(new_worker, service, search):
    new_worker(MODEL="better")
    with pytest.raises(IndexOutdated, match="better"):
        search()
    assert not service.requests


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_model_whose_vectors_have_another_size_is_noticed_by_its_answer(
    new_worker, service, search
):
    new_worker()
    item = {"index": 0, "embedding": vector_of("bread", 16)}
    service.always = Reply(body={"data": [item]})
    with pytest.raises(IndexOutdated, match="dimensions 8 is now 16"):
        search()
    assert [request.body["input"] for request in service.requests] == [["bread"]]
