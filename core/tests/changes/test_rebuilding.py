"""A rebuild that is asked for in the admin runs outside of the request."""

from __future__ import annotations

import threading

import pytest

from tests.testapp.models import Note
from wagtail_vector_index.changes.starting import start_rebuild
from wagtail_vector_index.changes.worker import worker
from wagtail_vector_index.exceptions import EmbeddingUnavailable
from wagtail_vector_index.models import Collection

NOTES = "testapp.Note"


@pytest.fixture
def built(transactional_db, bring_up_to_date, settings):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    Note.objects.create(text="bread")
    bring_up_to_date(NOTES)
    return Collection.objects.get(index=NOTES)


def active():
    return Collection.objects.get(index=NOTES, state=Collection.State.ACTIVE)


def test_in_a_thread_of_its_own(built, embedder):
    threads = []
    embedder.before = lambda texts: threads.append(threading.current_thread().name)
    Note.objects.create(text="cake")
    start_rebuild(NOTES)
    assert worker().wait(20)
    assert active() != built
    assert active().document_count == 2
    assert threads == ["wagtail-vector-index"]


def test_it_is_tried_again_while_a_service_is_down(built, embedder, monkeypatch):
    monkeypatch.setattr("wagtail_vector_index.changes.worker._REBUILD_RETRY", 0.001)
    tries = []
    up = threading.Event()

    def down_at_first(texts):
        tries.append(texts)
        if len(tries) < 4:
            raise EmbeddingUnavailable("the service is down")
        up.set()

    embedder.before = down_at_first
    Note.objects.create(text="cake")
    start_rebuild(NOTES)
    assert up.wait(20)
    assert worker().wait(20)
    assert active() != built


def test_inline(built, settings):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    start_rebuild(NOTES)
    assert active() != built
