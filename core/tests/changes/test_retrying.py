"""What cannot be written is tried again by itself, and less and less often."""

from __future__ import annotations

import datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, connection, connections
from django.utils import timezone
from django_tasks import task_backends
from django_tasks.backends.dummy import DummyBackend

from tests.testapp.models import Note, Product, Remote
from wagtail_vector_index.background.worker import worker
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import expanding
from wagtail_vector_index.indexing.backoff import OBJECT_DELAY, SERVICE_DELAY, delay_after
from wagtail_vector_index.indexing.outbox import append, queue
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import Collection, PendingChange
from wagtail_vector_index.tasks import apply_pending_changes, rebuild_index

NOTES = "testapp.Note"
PRODUCTS = "testapp.ProductIndex"
REMOTE = "testapp.Remote"
QUEUE = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}

pytestmark = pytest.mark.django_db


class TakesNoDelay(DummyBackend):
    """A queue whose tasks cannot be put off."""

    supports_defer = False

    def enqueue(self, task, args, kwargs):
        raise AssertionError("not asked for")


@pytest.fixture
def built(settings, bring_up_to_date, embedder):
    """An index of one note; changes are put into a queue of tasks, which runs nothing."""
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    Note.objects.create(text="bread")
    bring_up_to_date(NOTES)
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    settings.TASKS = QUEUE


def queued():
    """The tasks that are put off: their arguments, and by how many seconds, to the nearest ten."""
    return [
        (result.args, round((result.task.run_after - timezone.now()).total_seconds(), -1))
        for result in task_backends["default"].results
        if result.task.run_after
    ]


def time_passes(seconds):
    """As if everything that waits had been made to so many seconds ago."""
    for model, *names in (
        (Collection, "next_attempt", "retry_task_at"),
        (PendingChange, "next_attempt"),
    ):
        for name in names:
            for row in model.objects.exclude(**{name: None}):
                moment = getattr(row, name) - datetime.timedelta(seconds=seconds)
                model.objects.filter(pk=row.pk).update(**{name: moment})


def down(*arguments):
    raise EmbeddingUnavailable("the service is down")


def test_each_delay_is_twice_the_one_before():
    delays = [delay_after(failures, OBJECT_DELAY).total_seconds() for failures in (1, 2, 3, 9, 99)]
    assert delays == [10, 20, 40, 2_560, 3_600]
    assert delay_after(10**6, SERVICE_DELAY) == SERVICE_DELAY


def test_a_task_that_fails_is_followed_by_another(built, embedder, found):
    Note.objects.create(text="cake")
    embedder.before = down
    apply_pending_changes.call(NOTES)
    assert queued() == [([NOTES, 1], 10)]
    time_passes(10)
    apply_pending_changes.call(NOTES, 1)
    assert queued() == [([NOTES, 1], 10), ([NOTES, 2], 20)]
    time_passes(20)
    embedder.before = lambda texts: None
    apply_pending_changes.call(NOTES, 2)
    assert len(queued()) == 2
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]
    assert status_of(Note.vector_index).is_ok


def test_a_service_that_is_down_is_not_asked_for_every_change(built, embedder):
    calls = []

    def fail(texts):
        calls.append(texts)
        down()

    embedder.before = fail
    for number in range(5):
        Note.objects.create(text=f"note{number}")
        apply_pending_changes.call(NOTES)
    assert calls == [["note0"], ["test"]]  # a change, and a text that cannot be to blame
    assert len(queued()) == 1


def test_the_command_that_fails_meanwhile_ends_no_chain_of_tasks(built, embedder, bring_up_to_date):
    """It makes everything wait longer, until after the task that tries again."""
    Note.objects.create(text="cake")
    embedder.before = down
    apply_pending_changes.call(NOTES)
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date(NOTES)
    time_passes(11)
    apply_pending_changes.call(NOTES, 1)
    assert queued()[1:] == [([NOTES, 1], 10)]


def test_a_task_that_was_killed_before_it_put_off_another(built, embedder, monkeypatch):
    """The next one does, once that other would have come."""

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    Note.objects.create(text="cake")
    embedder.before = down
    with monkeypatch.context() as patched:
        patched.setattr("wagtail_vector_index.tasks._put_off", killed)
        with pytest.raises(Killed):
            apply_pending_changes.call(NOTES)
    time_passes(11)
    apply_pending_changes.call(NOTES)
    assert queued() == [([NOTES, 1], 20)]


def test_each_object_that_waits_has_a_task_that_tries_it_again(built, embedder):
    """Also the one that fails while another is to be tried sooner."""

    def refuse(texts):
        if any("poison" in text for text in texts):
            raise EmbeddingRefused("this text is not accepted")

    embedder.before = refuse
    _, second = (Note.objects.create(text=f"poison {number}") for number in (1, 2))
    append(NOTES, [object_key(second)])
    apply_pending_changes.call(NOTES)
    PendingChange.objects.filter(object_key=object_key(second)).update(
        next_attempt=timezone.now() + datetime.timedelta(seconds=100)
    )
    time_passes(11)
    embedder.before = lambda texts: None
    apply_pending_changes.call(NOTES)
    assert [row.object_key for row in PendingChange.objects.filter(index=NOTES)] == [
        object_key(second)
    ] * 2
    assert queued()[-1] == ([NOTES, 0], 90)


def test_a_text_that_a_model_finds_no_vector_for_holds_up_no_other(
    server, built, embedder, found, monkeypatch
):
    """No vector backend takes one of zeros, and no search finds it."""
    real = type(embedder).embed

    def embed(self, texts):
        vectors = real(self, texts)
        return [
            [0.0] * self.dimensions if "unknown" in text else vector
            for text, vector in zip(texts, vectors, strict=True)
        ]

    monkeypatch.setattr(type(embedder), "embed", embed)
    for text in ("cake", "unknown", "tea"):
        Note.objects.create(text=text)
    apply_pending_changes.call(NOTES)
    assert sorted(found(Note.vector_index, "cake")) == ["bread", "cake", "tea"]
    (failure,) = status_of(Note.vector_index).failures
    assert "returned zero, which has no direction" in failure.last_error
    assert found(Note.vector_index, "unknown") == []


def test_what_a_vector_backend_raises_is_kept_whatever_it_is(server, built):
    """Clients have errors of their own, that a plugin may not have thought of."""
    server = vector_backends["default"]

    def fail(method):
        raise RuntimeError("out of order")

    server.before = fail
    Note.objects.create(text="cake")
    apply_pending_changes.call(NOTES)
    status = status_of(Note.vector_index)
    assert (status.active.is_behind, status.active.last_error) == (
        True,
        "RuntimeError: out of order",
    )


def test_what_waited_is_applied_in_order(built, embedder):
    embedder.before = down
    Note.objects.create(text="first")
    apply_pending_changes.call(NOTES)
    Note.objects.create(text="second")
    embedder.before = lambda texts: None
    embedder.texts.clear()
    time_passes(10)
    apply_pending_changes.call(NOTES, 1)
    assert embedder.texts == ["first", "second"]


def test_an_object_that_is_refused_waits_alone(built, embedder, found):
    def refuse(texts):
        if any("poison" in text for text in texts):
            raise EmbeddingRefused("this text is not accepted")

    embedder.before = refuse
    notes = [Note.objects.create(text=text) for text in ("poison", "cake", "tea")]
    apply_pending_changes.call(NOTES)
    assert sorted(found(Note.vector_index, "cake")) == ["bread", "cake", "tea"]
    (failure,) = status_of(Note.vector_index).failures
    assert (failure.object_key, failure.attempts) == (object_key(notes[0]), 1)
    assert failure.last_error == "EmbeddingRefused: this text is not accepted"
    assert queued() == [([NOTES, 0], 10)]

    embedder.texts.clear()
    Note.objects.create(text="wine")
    apply_pending_changes.call(NOTES)
    assert embedder.texts == ["wine"]
    assert len(queued()) == 1

    notes[0].text = "water"
    notes[0].save()
    apply_pending_changes.call(NOTES)
    assert found(Note.vector_index, "water", limit=1) == ["water"]
    assert not PendingChange.objects.filter(index=NOTES).exists()


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_an_object_whose_own_query_fails_waits_alone(
    built, bring_up_to_date, found, monkeypatch, kind
):
    """Its statement may take too long, or it alone may read a database that is down."""
    bring_up_to_date(PRODUCTS)
    cup, kettle, pot = (Product.objects.create(label=label) for label in ("cup", "kettle", "pot"))
    with monkeypatch.context() as patched:
        patched.setattr(Product, "get_description", failing(kettle, kind))
        apply_pending_changes.call(PRODUCTS)
    index = get_index(PRODUCTS)
    assert set(index.search("kettle")) == {cup, pot}
    (failure,) = status_of(index).failures
    assert (failure.object_key, failure.attempts) == (object_key(kettle), 1)
    assert failure.last_error == f"{kind.__name__}: canceling statement due to statement timeout"
    assert queued() == [([PRODUCTS, 0], 10)]
    time_passes(10)
    apply_pending_changes.call(PRODUCTS)
    assert set(index.search("kettle")) == {cup, kettle, pot}
    assert status_of(index).is_ok


def failing(product, kind):
    """A method that returns the text of products, except of this one."""

    def describe(self):
        if self.pk == product.pk:
            raise kind("canceling statement due to statement timeout")
        return self.label

    return describe


@pytest.mark.parametrize("scope", [PendingChange.Scope.OBJECT, PendingChange.Scope.READERS])
def test_a_session_that_ended_is_the_fault_of_no_object(
    built, bring_up_to_date, monkeypatch, scope
):
    """The status says why nothing was written, and not that nothing has tried."""
    bring_up_to_date(PRODUCTS)
    product = Product.objects.create(label="cup")
    PendingChange.objects.filter(index=PRODUCTS).delete_rows()
    append(PRODUCTS, [object_key(product)], scope)

    def fail(*arguments):
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(Product, "get_description", fail)
        patched.setitem(expanding._EXPANSIONS, PendingChange.Scope.READERS, fail)
        patched.setattr(connections["default"], "is_usable", lambda: False)
        apply_pending_changes.call(PRODUCTS)
    long_ago = timezone.now() - datetime.timedelta(hours=1)
    changes = PendingChange.objects.filter(index=PRODUCTS)
    changes.update(created_at=long_ago)
    assert list(changes.values_list("attempts", "last_error")) == [(0, "")]
    status = status_of(get_index(PRODUCTS))
    assert [(each.attempts, each.last_error) for each in status.failed_collections] == [
        (1, "OperationalError: server closed the connection unexpectedly")
    ]
    assert (status.is_ok, status.problems) == (False, [])
    time_passes(10)
    apply_pending_changes.call(PRODUCTS, 1)
    assert status_of(get_index(PRODUCTS)).is_ok


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_database_that_all_objects_need_is_the_fault_of_none(
    built, bring_up_to_date, monkeypatch
):
    bring_up_to_date(REMOTE)
    for text in ("bread", "cake"):
        Remote.objects.create(text=text)

    def fail():
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(connections["other"], "ensure_connection", fail)
        apply_pending_changes.call(REMOTE)
    changes = PendingChange.objects.filter(index=REMOTE)
    assert list(changes.values_list("attempts", "last_error")) == [(0, "")] * 2
    (failed,) = status_of(get_index(REMOTE)).failed_collections
    assert failed.last_error == "OperationalError: connection refused"


def test_a_row_for_many_objects_that_fails_waits_alone(built, found, monkeypatch):
    append(NOTES, ["testapp.author:1"], PendingChange.Scope.READERS)
    Note.objects.create(text="cake")

    def fail(*arguments):
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setitem(expanding._EXPANSIONS, PendingChange.Scope.READERS, fail)
        apply_pending_changes.call(NOTES)
        assert found(Note.vector_index, "cake", limit=1) == ["cake"]
        (failure,) = status_of(Note.vector_index).failures
        assert (failure.object_key, failure.attempts) == ("testapp.author:1", 1)
        assert failure.last_error == "ValueError: a bug"
        assert queued() == [([NOTES, 0], 10)]
        apply_pending_changes.call(NOTES)
        assert status_of(Note.vector_index).failures[0].attempts == 1
        with pytest.raises(CommandError, match="author:1: ValueError: a bug"):
            call_command("update_vector_indexes", NOTES, verbosity=0)
    time_passes(20)
    apply_pending_changes.call(NOTES)
    assert status_of(Note.vector_index).is_ok
    assert not PendingChange.objects.filter(index=NOTES).exists()


def test_a_queue_that_puts_nothing_off_leaves_it_to_a_thread(built, embedder, settings):
    path = f"{TakesNoDelay.__module__}.{TakesNoDelay.__qualname__}"
    settings.TASKS = {"default": {"BACKEND": path}}
    append(NOTES, [object_key(Note.objects.get())])
    Note.objects.update(text="cake")
    embedder.before = down
    apply_pending_changes.call(NOTES)
    assert worker()._due.keys() == {("", NOTES)}


@pytest.mark.parametrize("task", [apply_pending_changes, rebuild_index])
def test_a_queue_that_is_down_leaves_it_to_a_thread(built, embedder, monkeypatch, caplog, task):
    def fail(*arguments):
        raise ConnectionError("the broker is down")

    Note.objects.create(text="cake")
    embedder.before = down
    monkeypatch.setattr(DummyBackend, "enqueue", fail)
    task.call(NOTES)
    assert worker()._due.keys() == {("", NOTES)}
    assert worker()._to_rebuild == ({("", NOTES)} if task is rebuild_index else set())
    assert "ConnectionError: the broker is down" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_queue_that_is_down_when_an_object_is_saved(built, monkeypatch, caplog, found):
    def fail(*arguments):
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(DummyBackend, "enqueue", fail)
    Note.objects.create(text="cake")
    assert worker().wait(20)
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]
    assert "ConnectionError: the broker is down" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_down_ends_no_chain_of_tasks(built, found):
    def fail(*arguments):
        raise OperationalError("the database system is shutting down")

    Note.objects.create(text="cake")
    with connection.execute_wrapper(fail):
        apply_pending_changes.call(NOTES)
    assert queued() == [([NOTES, 1], 10)]
    apply_pending_changes.call(NOTES, 1)
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]


def test_a_vector_backend_that_is_down_is_told_later(server, built, embedder, found):
    server = vector_backends["default"]

    def fail(method):
        raise BackendUnavailable("the server is down")

    server.before = fail
    Note.objects.create(text="cake")
    apply_pending_changes.call(NOTES)
    status = status_of(Note.vector_index)
    assert (status.pending, status.active.is_behind, status.active.attempts) == (0, True, 1)
    assert status.active.last_error == "BackendUnavailable: the server is down"
    assert queued() == [([NOTES, 1], 10)]
    server.before = lambda method: None
    embedder.texts.clear()
    time_passes(10)
    apply_pending_changes.call(NOTES, 1)
    assert embedder.texts == []
    assert status_of(Note.vector_index).is_ok
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]


def test_of_two_backends_the_one_that_works_is_told(
    server, built, settings, monkeypatch, bring_up_to_date
):
    """As while an index moves from one to the other."""
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        name: {"BACKEND": "tests.testapp.backends.ServerBackend"} for name in ("default", "other")
    }
    old, new = vector_backends["default"], vector_backends["other"]
    old.before = lambda method: None
    with monkeypatch.context() as patched:
        patched.setattr("wagtail_vector_index.indexing.updating._flip", lambda *arguments: None)
        patched.setattr(type(Note.vector_index), "vector_backend", "other")
        bring_up_to_date(NOTES)
        assert new.upserted == 1

        def fail(method):
            raise BackendUnavailable("the server is down")

        old.before = fail
        Note.objects.create(text="cake")
        apply_pending_changes.call(NOTES)
        assert new.upserted == 2
        assert [c.attempts for c in status_of(Note.vector_index).collections] == [1, 0]
        # The other one is not asked at each change, and holds up none.
        Note.objects.create(text="tea")
        apply_pending_changes.call(NOTES)
        assert new.upserted == 3
        assert [c.attempts for c in status_of(Note.vector_index).collections] == [1, 0]


def test_the_command_tries_at_once_and_forgets_nothing(built, embedder, bring_up_to_date):
    embedder.before = down
    note = Note.objects.create(text="cake")
    apply_pending_changes.call(NOTES)
    row = PendingChange.objects.get(index=NOTES)
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date(NOTES)
    again = PendingChange.objects.get(index=NOTES)
    assert (again.attempts, again.created_at) == (2, row.created_at)
    queue(NOTES, [object_key(note)])
    again = PendingChange.objects.get(index=NOTES)
    assert (again.attempts, again.last_error) == (2, "EmbeddingUnavailable: the service is down")
    assert again.next_attempt <= timezone.now()


@pytest.mark.parametrize("kind", [BackendUnavailable, RuntimeError])
def test_secrets_are_not_kept_with_an_error(server, built, caplog, kind):
    Collection.objects.update(vector_backend="default")
    server = vector_backends["default"]
    object.__setattr__(server.options, "api_key", "abc123")

    def fail(method):
        raise kind("abc123 is no key")

    server.before = fail
    Note.objects.create(text="cake")
    apply_pending_changes.call(NOTES)
    assert Collection.objects.get().last_error == f"{kind.__name__}: ******** is no key"
    assert f"{kind.__name__}: ******** is no key" in caplog.text
    assert "abc123" not in caplog.text


def test_secrets_are_not_in_the_commands_errors(server, built):
    object.__setattr__(vector_backends["default"].options, "api_key", "abc123")

    def fail(method):
        raise BackendUnavailable("abc123 is no key")

    vector_backends["default"].before = fail
    with pytest.raises(CommandError, match=r"testapp.Note: \*{8} is no key"):
        call_command("update_vector_indexes", NOTES, rebuild=True, verbosity=0)
