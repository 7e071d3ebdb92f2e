"""A rebuild that is asked for in the admin runs outside of the request."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_tasks import task_backends

from tests.testapp.models import Note
from wagtail_vector_index.background import attempting
from wagtail_vector_index.background.worker import worker
from wagtail_vector_index.changes.starting import start_rebuild
from wagtail_vector_index.exceptions import BackendUnavailable, EmbeddingUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexing import backoff
from wagtail_vector_index.indexing.plan import Plan
from wagtail_vector_index.models import Collection
from wagtail_vector_index.tasks import rebuild_index

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
    monkeypatch.setattr(backoff, "_FIRST_DELAY", dt.timedelta(milliseconds=1))
    monkeypatch.setattr(attempting, "_SHORTEST", 0.001)
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


def building_elsewhere(plan_of):
    collection = plan_of.new_collection()
    collection.builder, collection.builder_seen = "elsewhere:7", timezone.now()
    collection.compared_at = timezone.now()
    collection.save()


def test_a_task_that_finds_another_process_building_leaves_the_end_to_it(built, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    building_elsewhere(Plan.of(Note.vector_index))
    rebuild_index.call(NOTES)
    assert active() == built
    assert task_backends["default"].results == []


def test_a_task_that_fails_is_followed_by_another(built, embedder, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}

    def down(texts):
        raise EmbeddingUnavailable("the service is down")

    embedder.before = down
    Note.objects.create(text="cake")
    rebuild_index.call(NOTES)
    (result,) = task_backends["default"].results
    assert (result.task.module_path, result.args) == (rebuild_index.module_path, [NOTES, 1])
    assert result.task.run_after > timezone.now()
    embedder.before = lambda texts: None
    Collection.objects.update(next_attempt=timezone.now())
    rebuild_index.call(NOTES, 1)
    assert active() != built
    assert active().document_count == 2


def test_what_serves_is_told_of_changes_while_the_new_backend_is_down(
    server, built, settings, monkeypatch
):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        name: {"BACKEND": "tests.testapp.backends.ServerBackend"} for name in ("default", "new")
    }

    def fail(method):
        calls.append(method)
        raise BackendUnavailable("the server is down")

    calls = []
    old, new = vector_backends["default"], vector_backends["new"]
    new.before = fail
    monkeypatch.setattr(type(Note.vector_index), "vector_backend", "new")
    Note.objects.create(text="cake")
    worker().rebuild(NOTES)
    assert worker().wait(20)
    assert old.upserted == 2
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    Note.objects.create(text="tea")
    assert worker().wait(20)
    assert old.upserted == 3
    assert calls == ["upsert"]
    new.before = lambda method: None
    Collection.objects.update(next_attempt=None)
    worker().wake(NOTES)
    assert worker().wait(20)
    assert active().vector_backend == "new"


def test_the_thread_outlives_a_database_that_goes_away(built, monkeypatch):
    def gone(index_name):
        raise OperationalError("the server closed the connection")

    Note.objects.create(text="cake")
    with monkeypatch.context() as patched:
        patched.setattr(attempting, "_seconds_to_next", gone)
        worker().rebuild(NOTES)
        assert worker().wait(20)
    start_rebuild(NOTES)
    assert worker().wait(20)
    assert active().document_count == 2
