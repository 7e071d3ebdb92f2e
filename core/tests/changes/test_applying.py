"""From the outbox to the search results, without a command."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, InterfaceError, transaction
from django_tasks import task_backends

from tests.testapp.models import Note, Remote
from wagtail_vector_index.background.attempting import Attempt
from wagtail_vector_index.background.worker import Worker, _warn_without_threads, worker
from wagtail_vector_index.changes import starting
from wagtail_vector_index.exceptions import EmbeddingUnavailable
from wagtail_vector_index.models import Document, PendingChange

NOTES = "testapp.Note"


@pytest.fixture
def started(monkeypatch):
    """The indexes whose drain is started."""
    names = []
    monkeypatch.setattr(starting, "_start", names.append)
    return names


@pytest.fixture
def built(transactional_db, bring_up_to_date, embedder, settings):
    """An index of one note."""
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    Note.objects.create(text="bread")
    bring_up_to_date(NOTES)
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    yield
    assert worker().wait(20)


@pytest.mark.parametrize("options", [{}, {"enable-threads": b"true"}, {"threads": b"4"}])
def test_uwsgi_must_be_told_to_run_threads(built, monkeypatch, caplog, options):
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt=options))
    _warn_without_threads.cache_clear()
    for text in ("cake", "tea"):
        Note.objects.create(text=text)
        assert worker().wait(20)
    assert caplog.text.count("uWSGI runs no threads") == (0 if options else 1)


def test_once_after_the_commit(transactional_db, started):
    with transaction.atomic():
        for text in ("bread", "cake", "tea"):
            Note.objects.create(text=text)
        assert started == []
    assert sorted(started) == [NOTES, "testapp.PinnedNote"]


def test_once_for_pages_which_are_saved_in_savepoints(transactional_db, started, article):
    with transaction.atomic():
        for title in ("Bread", "Cake", "Tea"):
            article(title)
    assert sorted(started) == ["testapp.ArticlePage", "testapp.SiteIndex"]


def test_once_in_and_out_of_a_savepoint(transactional_db, started):
    with transaction.atomic():
        with transaction.atomic():
            Note.objects.create(text="bread")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Note.objects.create(text="cake")
            raise ZeroDivisionError
    assert sorted(started) == [NOTES, "testapp.PinnedNote"]


def test_not_after_a_rollback(transactional_db, started):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Note.objects.create(text="bread")
        raise ZeroDivisionError
    assert started == []


def test_a_savepoint_that_is_rolled_back_takes_no_other_with_it(transactional_db, started):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Note.objects.create(text="bread")
            raise ZeroDivisionError
        Note.objects.create(text="cake")
    assert sorted(started) == [NOTES, "testapp.PinnedNote"]


def test_inline(built, settings, found):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    Note.objects.create(text="cake")
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]
    assert not PendingChange.objects.filter(index=NOTES).exists()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_after_the_commit_of_a_database_that_is_not_the_records(bring_up_to_date, found):
    """Before it, the thread would read what was there until then."""
    remote = Remote.objects.create(text="bread")
    bring_up_to_date("remote")
    with transaction.atomic(using="other"):
        Remote.objects.create(text="tea")
        remote.text = "cake"
        remote.save()
        assert worker().wait(20)
    assert worker().wait(20)
    assert set(found(Remote.vector_index, "cake tea")) == {str(r) for r in Remote.objects.all()}
    assert {r.vector_excerpt for r in Remote.vector_index.search("cake tea")} == {"cake", "tea"}
    remote.delete()
    assert worker().wait(20)
    assert [r.vector_excerpt for r in Remote.vector_index.search("cake tea")] == ["tea"]
    assert Document.objects.filter(deleted_at=None).count() == 1


def test_inline_in_a_test_that_never_commits(
    db, settings, bring_up_to_date, found, django_capture_on_commit_callbacks
):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    Note.objects.create(text="bread")
    bring_up_to_date(NOTES)
    for text in ("cake", "tea"):
        with django_capture_on_commit_callbacks(execute=True):
            Note.objects.create(text=text)
        assert found(Note.vector_index, text, limit=1) == [text]


@pytest.mark.parametrize("framework", ["", "django_tasks", "django.tasks"])
def test_in_a_thread_of_its_own(framework, built, found, embedder, settings):
    """Without a queue, or with what runs tasks at once, of whichever framework."""
    if framework:
        pytest.importorskip(framework, reason="this Django has no tasks")
        settings.TASKS = {
            "default": {"BACKEND": f"{framework}.backends.immediate.ImmediateBackend"}
        }
    threads = []
    embedder.before = lambda texts: threads.append(threading.current_thread().name)
    Note.objects.create(text="cake")
    assert worker().wait(20)
    assert threads == ["wagtail-vector-index"]
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]


def test_through_a_queue_of_tasks(built, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    Note.objects.create(text="cake")
    queued = [result.args for result in task_backends["default"].results]
    assert sorted(queued) == [[NOTES], ["testapp.PinnedNote"]]


def test_an_index_that_was_never_built_stays_so(transactional_db, settings, embedder):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    Note.objects.create(text="cake")
    assert embedder.texts == []


def test_the_thread_of_an_index_that_was_never_built_ends(transactional_db, embedder):
    Note.objects.create(text="cake")
    thread = worker()._thread
    if thread is not None:
        thread.join(20)
    assert worker()._thread is None
    assert embedder.texts == []


def test_a_service_that_is_down_is_nothing_to_the_editor(built, embedder, caplog):
    def down(texts):
        raise EmbeddingUnavailable("the service is down")

    embedder.before = down
    Note.objects.create(text="cake")
    assert worker().wait(20)
    row = PendingChange.objects.get(index=NOTES)
    assert row.attempts == 1
    assert row.last_error == "EmbeddingUnavailable: the service is down"
    assert "tried again in 10 s" in caplog.text


def test_the_worker_tries_again(monkeypatch, caplog):
    from wagtail_vector_index.background import worker as module

    tried = []

    def fail(index, failures, *, rebuild):
        tried.append((index, failures))
        return Attempt(retry_in=0.001, failures=len(tried)) if len(tried) < 3 else Attempt()

    monkeypatch.setattr(module, "attempt", fail)
    monkeypatch.setattr(type(module.connections), "close_all", lambda handler: None)
    tireless = Worker()
    tireless.wake("an index")
    tireless._thread.join(20)
    assert tried == [("an index", 0), ("an index", 1), ("an index", 2)]
    assert tireless.wait(0)


@pytest.mark.parametrize(
    "error", [DatabaseError("no such table"), InterfaceError("connection already closed")]
)
def test_an_outbox_that_cannot_be_written_is_nothing_to_the_editor(db, monkeypatch, caplog, error):
    from wagtail_vector_index.changes import noting

    def fail(*arguments):
        raise error

    monkeypatch.setattr(noting, "append", fail)
    Note.objects.create(text="cake")
    assert Note.objects.exists()
    assert "could not be noted for testapp.Note" in caplog.text
