"""Writes that lose against another transaction are tried again."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, connections, transaction

from tests.testapp.models import Note
from wagtail_vector_index.indexing import draining, embedding
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange, transactions
from wagtail_vector_index.models.transactions import in_transaction, is_conflict, tried_again

NOTES = Note.vector_index


def error(*arguments, **attributes):
    """An error as Django raises it, with the cause from a driver that has these attributes."""
    raised = OperationalError(*arguments)
    raised.__cause__ = type("DriverError", (Exception,), attributes)()
    return raised


DEADLOCK = error("deadlock detected", sqlstate="40P01")
CONFLICTS = [
    DEADLOCK,
    error("could not serialize access due to concurrent update", sqlstate="40001"),
    error("could not serialize access", pgcode="40001"),
    error("canceling statement due to lock timeout", sqlstate="55P03"),
    error(1213, "Deadlock found when trying to get lock; try restarting transaction"),
    error(1205, "Lock wait timeout exceeded; try restarting transaction"),
    error("database is locked", sqlite_errorcode=5),
    error("database table is locked: wvi_document"),
]
OTHERS = [
    error("connection refused", sqlstate=None),
    error("server closed the connection unexpectedly"),
    error("terminating connection due to administrator command", sqlstate="57P01"),
    error(2006, "MySQL server has gone away"),
    error("disk I/O error"),
    error(),
    ValueError("database is locked"),
]


@pytest.fixture
def at_once(monkeypatch):
    """Time passes without waiting. Returns the pauses."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: sum(pauses))
    monkeypatch.setattr(transactions, "time", clock)
    return pauses


def raising(*errors):
    """A function that raises these errors, one each call, and then returns "done"."""
    left = list(errors)

    def run(*arguments, **named):
        if left:
            raise left.pop(0)
        return "done"

    return run


@pytest.mark.parametrize("conflict", CONFLICTS, ids=str)
def test_conflicts_of_each_database_are_known(conflict):
    assert is_conflict(conflict)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_database_that_is_down_is_no_conflict(other):
    assert not is_conflict(other)


@pytest.mark.django_db(transaction=True)
class TestTriedAgain:
    @pytest.mark.parametrize("conflict", CONFLICTS, ids=str)
    def test_until_it_succeeds(self, conflict, at_once):
        assert tried_again(raising(conflict, conflict), "default") == "done"
        assert len(at_once) == 2

    @pytest.mark.parametrize("other", OTHERS, ids=str)
    def test_not_after_other_errors(self, other, at_once):
        with pytest.raises(type(other)):
            tried_again(raising(other), "default")
        assert at_once == []

    def test_for_a_limited_time(self, at_once):
        with pytest.raises(OperationalError, match="deadlock"):
            tried_again(raising(*itertools.repeat(DEADLOCK, 1_000)), "default")
        assert transactions.PATIENCE < sum(at_once) < transactions.PATIENCE + 2

    def test_not_in_a_transaction_of_the_caller(self, at_once):
        """The caller's earlier writes are undone, so only the caller can begin again."""
        with pytest.raises(OperationalError), transaction.atomic():
            tried_again(raising(DEADLOCK), "default")
        assert at_once == []

    def test_a_transaction_begins_again_with_nothing_written(self, at_once):
        fail = raising(DEADLOCK)

        def write():
            Note.objects.create(text="bread")
            fail()

        in_transaction(write, "default")
        assert Note.objects.count() == 1

    @pytest.mark.parametrize(
        "write",
        [
            lambda: PendingChange.objects.update(attempts=7),
            lambda: PendingChange.objects.all().delete_rows(),
            lambda: queue(NOTES.name, ["testapp.note:1"]),
        ],
        ids=["update", "delete", "queue"],
    )
    def test_every_write_of_the_index_tables(self, write, at_once):
        PendingChange.objects.create(index=NOTES.name, object_key="testapp.note:1")
        fail = raising(DEADLOCK, DEADLOCK)

        def losing(execute, statement, *arguments):
            if not statement.startswith("SELECT"):
                fail()
            return execute(statement, *arguments)

        with connection.execute_wrapper(losing):
            write()
        assert len(at_once) == 2

    def test_a_drain_that_loses_at_any_statement(self, at_once):
        """Whatever statement loses, everything is written once."""
        Note.objects.bulk_create(Note(text=f"note {number}") for number in range(3))
        update(NOTES)
        for number in itertools.count():
            for note in Note.objects.all():
                note.text += " more"
                note.save()
            queue(NOTES.name, NOTES.source_keys())
            statements = itertools.count()

            def losing(execute, *arguments, at=number, statements=statements):
                if next(statements) == at:
                    raise DEADLOCK
                return execute(*arguments)

            with connection.execute_wrapper(losing):
                try:
                    draining.drain(NOTES)
                except OperationalError:
                    # Reads outside a batch are not tried again here. Nothing is lost.
                    draining.drain(NOTES)
            assert not PendingChange.objects.exists()
            live = Document.objects.filter(deleted_at=None)
            assert sorted(live.values_list("content", flat=True)) == sorted(
                Note.objects.values_list("text", flat=True)
            )
            assert Collection.objects.get().document_count == 3
            if next(statements) <= number:
                break
        assert number > 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only PostgreSQL waits so")
def test_two_transactions_that_wait_for_each_other():
    rows = [PendingChange.objects.create(index="x", object_key=str(n)) for n in range(2)]
    meet = threading.Barrier(2, timeout=60)

    def lock_both(first, second, tries):
        def write():
            tries.append(1)
            PendingChange.objects.filter(pk=first.pk).update(attempts=1)
            if len(tries) == 1:
                meet.wait()
            PendingChange.objects.filter(pk=second.pk).update(attempts=2)

        try:
            in_transaction(write, "default")
        finally:
            connections.close_all()

    tries = [], []
    orders = [(*rows, tries[0]), (*reversed(rows), tries[1])]
    threads = [threading.Thread(target=lock_both, args=order) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(len, tries)) == [1, 2]  # one of them was ended, and written again
    assert sorted(PendingChange.objects.values_list("attempts", flat=True)) == [1, 2]


@pytest.mark.django_db
def test_embeddings_are_inserted_in_one_order(monkeypatch, embedder):
    inserted = []

    def insert_rows(model, columns, rows, **named):
        inserted.append([row[0] for row in rows])
        real(model, columns, rows, **named)

    real = embedding.insert_rows
    monkeypatch.setattr(embedding, "insert_rows", insert_rows)
    for number in range(20):
        Note.objects.create(text=f"note {number}")
    update(NOTES)
    assert len(inserted) > 1
    assert all(hashes == sorted(hashes) for hashes in inserted)
    vectors = {row.content_hash: bytes(row.vector) for row in Embedding.objects.all()}
    for document in Document.objects.all():
        [vector] = embedder.embed([document.content])
        assert list(memoryview(vectors[document.content_hash]).cast("f")) == pytest.approx(vector)
