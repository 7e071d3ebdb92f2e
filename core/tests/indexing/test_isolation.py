"""Several writers at once in PostgreSQL, at each isolation level."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections

from tests.testapp.models import Note
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing.draining import drain
from wagtail_vector_index.indexing.embedding import embedding_ids
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange
from wagtail_vector_index.plugins.documents import PreparedDocument

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL"),
]

NOTES = Note.vector_index

#: The numbers by which psycopg, and so Django's option "isolation_level", knows the levels.
LEVELS = {"read committed": 2, "repeatable read": 3, "serializable": 4}


@pytest.fixture(autouse=True, params=LEVELS.values(), ids=LEVELS)
def _level(request):
    """All connections of the test have this isolation level."""
    options = connection.settings_dict["OPTIONS"]
    options["isolation_level"] = request.param
    connection.close()
    yield
    del options["isolation_level"]
    connection.close()


@pytest.fixture(autouse=True)
def _many_batches(monkeypatch):
    monkeypatch.setattr("wagtail_vector_index.indexing.shares.SIZE", 10)
    monkeypatch.setattr(type(embedding_backends["default"]), "max_batch_texts", 500)


def at_once(*actions):
    """Run each action in a thread of its own, and raise what one of them raises."""
    errors = []
    begin = threading.Barrier(len(actions), timeout=60)

    def run(action):
        try:
            begin.wait()
            action()
        except Exception as error:  # noqa: BLE001  # raised below
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if errors:
        raise errors[0]


def is_true():
    """Whether the index has exactly what the notes say, and nothing waits."""
    [collection] = Collection.objects.filter(state="active")
    live = Document.objects.filter(collection=collection, deleted_at=None)
    assert sorted(live.values_list("content", flat=True)) == sorted(
        Note.objects.values_list("text", flat=True)
    )
    assert collection.document_count == live.count()
    assert collection.object_count == live.values("object_key").distinct().count()
    return not PendingChange.objects.exists()


def test_the_same_texts_in_another_order():
    embedder = embedding_backends["default"]
    texts = [
        [PreparedDocument(text=f"{turn} {n}", context="", metadata={}) for n in range(500)]
        for turn in range(10)
    ]

    def embed(step):
        for some in texts:
            embedding_ids(embedder, some[::step], {})

    at_once(*[lambda step=step: embed(step) for step in (1, -1, 1, -1)])
    assert Embedding.objects.count() == 5_000


def test_updates_and_drains_at_once():
    Note.objects.bulk_create(Note(text=f"note {number}") for number in range(60))
    at_once(*[lambda: update(NOTES)] * 3)
    update(NOTES)
    assert is_true()
    for turn in range(3):
        for note in Note.objects.filter(pk__in=Note.objects.all()[turn * 10 : turn * 10 + 30]):
            note.text += f" edited {turn}"
            note.save()
        Note.objects.filter(text__endswith=f"{turn}7").delete()
        queue(NOTES.name, NOTES.source_keys())
        at_once(lambda: update(NOTES), lambda: drain(NOTES), lambda: update(NOTES))
        update(NOTES)
        assert is_true()


def test_changes_arrive_while_others_are_written():
    Note.objects.bulk_create(Note(text=f"note {number}") for number in range(30))
    update(NOTES)

    def edit(turn):
        for note in Note.objects.all():
            note.text += f" by {turn}"
            note.save()
            queue(NOTES.name, [f"testapp.note:{note.pk}"])

    at_once(
        lambda: edit(1),
        lambda: [drain(NOTES) for _ in range(5)],
        lambda: [drain(NOTES) for _ in range(5)],
        lambda: update(NOTES, rebuild=True),
    )
    update(NOTES)
    assert is_true()
