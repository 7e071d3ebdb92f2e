"""A vector backend outside this process is told what changed, and can be lost."""

from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.testapp.models import Note
from wagtail_vector_index.backends.base import RecordBatch
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    CollectionNotFound,
    EmbeddingUnavailable,
)
from wagtail_vector_index.indexing import cleaning, pushing, shares, updating
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import Collection, Document, Embedding

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index


@pytest.fixture
def notes(server, bring_up_to_date):
    created = [Note.objects.create(text=text) for text in ("bread", "cheese", "wine")]
    bring_up_to_date("note")
    server.upserted = server.deleted = 0
    return created


def test_only_the_difference_is_sent(notes, server, bring_up_to_date):
    notes[0].text = "cake"
    notes[0].save()
    bring_up_to_date("note")
    assert (server.upserted, server.deleted) == (1, 1)
    assert server.count(Collection.objects.get().spec) == 3


def test_a_backend_that_is_down_loses_nothing_and_costs_nothing_twice(
    notes, server, bring_up_to_date, embedder, found
):
    def down(method):
        raise BackendUnavailable("the server is down")

    server.before = down
    Note.objects.create(text="butter")
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    collection = Collection.objects.get()
    assert collection.applied_revision < collection.revision
    server.before = lambda method: None
    embedder.calls = 0
    bring_up_to_date("note")
    assert embedder.calls == 0
    assert server.upserted == 1
    assert found(NOTES, "butter", limit=1) == ["butter"]


@pytest.mark.parametrize("apply", [updating.apply_changes, updating.update])
def test_objects_stay_found_if_the_embedding_service_fails_after_some_were_written(
    server, bring_up_to_date, embedder, found, monkeypatch, apply
):
    notes = [Note.objects.create(text=f"bread {number}") for number in range(4)]
    bring_up_to_date("note")
    monkeypatch.setattr(shares, "SIZE", 2)
    for number, note in enumerate(notes):
        note.text = f"cheese {number}"
        note.save()

    def no_more(texts):
        if {"cheese 2", "cheese 3", "test"}.intersection(texts):
            raise EmbeddingUnavailable("the quota is exceeded")

    queue(NOTES.name, [object_key(note) for note in notes])
    embedder.before = no_more
    for _ in range(2):
        with pytest.raises(EmbeddingUnavailable):
            apply(NOTES)
        assert sorted(found(NOTES, "cheese", limit=4)) == [note.text for note in notes]
        assert Collection.objects.get().last_error.startswith("EmbeddingUnavailable")


def test_a_failing_vector_backend_does_not_hide_why_nothing_was_embedded(
    notes, server, bring_up_to_date, embedder, monkeypatch
):
    monkeypatch.setattr(shares, "SIZE", 1)
    embedded = []

    def only_one(texts):
        embedded.extend(texts)
        if len(embedded) > 1:
            raise EmbeddingUnavailable("the quota is exceeded")

    embedder.before = only_one
    refuse_upserts(server)
    Note.objects.bulk_create(Note(text=f"cheese {number}") for number in range(2))
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date("note")
    server.before = lambda method: None
    embedder.before = lambda texts: None
    bring_up_to_date("note")
    assert held(server, Collection.objects.get()) == live(Collection.objects.get())


def test_a_collection_that_the_backend_lost_is_filled_again(
    notes, server, bring_up_to_date, embedder, found
):
    server.drop(Collection.objects.get().spec)
    Note.objects.create(text="butter")
    embedder.calls = 0
    bring_up_to_date("note")
    assert embedder.calls == 1  # for the new note
    assert server.count(Collection.objects.get().spec) == 4
    assert found(NOTES, "wine", limit=1) == ["wine"]


def test_a_lost_collection_is_filled_again_without_any_change(notes, server, bring_up_to_date):
    server.drop(Collection.objects.get().spec)
    bring_up_to_date("note")
    assert server.count(Collection.objects.get().spec) == 3


def test_ghosts_are_never_found_and_swept(notes, server, bring_up_to_date, found):
    """A push that comes late can leave a document behind."""
    collection = Collection.objects.get()
    ghost = RecordBatch.of(
        ids=[uuid4()],
        vectors=[[1.0] * 64],
        metadata=[{"object": f"testapp.note:{notes[0].pk}", "model": "testapp.note"}],
    )
    server.upsert(collection.spec, ghost)
    assert sorted(found(NOTES, "bread")) == ["bread", "cheese", "wine"]
    bring_up_to_date("note")
    assert server.count(collection.spec) == 3


def test_records_that_the_backend_lost_come_back(notes, server, bring_up_to_date):
    collection = Collection.objects.get()
    server.delete(collection.spec, [Document.objects.first().pk])
    bring_up_to_date("note")
    assert server.count(collection.spec) == 3


def test_more_ghosts_and_losses_than_are_compared_at_once(
    notes, server, bring_up_to_date, monkeypatch
):
    monkeypatch.setattr(pushing, "_SLICE", 2)
    Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(6))
    bring_up_to_date("note")
    collection = Collection.objects.get()
    live = set(Document.objects.values_list("pk", flat=True))
    ghosts = RecordBatch.of(
        ids=[uuid4() for _ in range(5)],
        vectors=[[1.0] * 64] * 5,
        metadata=[{"object": "testapp.note:0", "model": "testapp.note"}] * 5,
    )
    server.upsert(collection.spec, ghosts)
    server.delete(collection.spec, sorted(live)[:6])
    bring_up_to_date("note")
    held = {id for batch in server.scan(collection.spec) for id in batch.uuids}
    assert held == live


def test_what_nobody_needs_goes_in_time(notes, server, bring_up_to_date):
    notes[0].delete()
    bring_up_to_date("note")
    assert Document.objects.filter(deleted_at__isnull=False).count() == 1
    assert Embedding.objects.count() == 3
    long_ago = timezone.now() - datetime.timedelta(days=2)
    Document.objects.filter(deleted_at__isnull=False).update(deleted_at=long_ago)
    Embedding.objects.update(created_at=long_ago)
    cleaning.clean_up()
    assert Document.objects.filter(deleted_at__isnull=False).count() == 0
    assert Embedding.objects.count() == 2


def test_records_are_complete_before_a_new_collection_serves(
    notes, server, bring_up_to_date, monkeypatch
):
    """The store loses what a rebuild has filled, before the rebuild has ended."""
    with monkeypatch.context() as patched:
        patched.setattr(updating, "_try_flip", lose_all(server))
        with pytest.raises(ConnectionError):
            bring_up_to_date("note", rebuild=True)
    building = Collection.objects.get(state=Collection.State.BUILDING)
    assert building.applied_revision == building.revision > 0
    assert server.count(building.spec) == 0
    bring_up_to_date("note")
    assert Collection.objects.get(state=Collection.State.ACTIVE) == building
    assert server.count(building.spec) == 3


def lose_all(server):
    def flip(building):
        server.delete(
            building.spec, [id for batch in server.scan(building.spec) for id in batch.uuids]
        )
        raise ConnectionError("the process is cut off")

    return flip


def test_a_rebuild_whose_collection_the_store_lost_begins_again(
    notes, server, bring_up_to_date, embedder, found, monkeypatch
):
    before = Collection.objects.get()

    def cut_off(building):
        raise ConnectionError("the process is cut off")

    with monkeypatch.context() as patched:
        patched.setattr(updating, "_try_flip", cut_off)
        with pytest.raises(ConnectionError):
            bring_up_to_date("note", rebuild=True)
    building = Collection.objects.get(state=Collection.State.BUILDING)
    server.drop(building.spec)
    embedder.calls = 0
    (updated,) = bring_up_to_date("note")
    assert updated.built
    assert embedder.calls == 0
    assert Collection.objects.get(state=Collection.State.ACTIVE) != before
    assert server.count(building.spec) == 3
    assert found(NOTES, "wine", limit=1) == ["wine"]


def test_a_store_that_loses_the_collection_of_each_rebuild_is_reported(
    notes, server, bring_up_to_date, found
):
    def lose(method):
        if method == "optimize":
            for name in server.collections():
                if name != before.name:
                    server.stored.pop(name)

    before = Collection.objects.get()
    server.before = lose
    for _ in range(2):
        with pytest.raises(CollectionNotFound):
            bring_up_to_date("note", rebuild=True)
    status = status_of(NOTES)
    assert not status.is_ok
    assert [collection.attempts for collection in status.failed_collections] == [2]
    assert found(NOTES, "wine", limit=1) == ["wine"]
    server.before = lambda method: None
    (updated,) = bring_up_to_date("note")
    assert updated.built
    assert status_of(NOTES).is_ok


def test_a_retired_collection_that_cannot_be_dropped_stops_no_update(
    notes, server, bring_up_to_date, monkeypatch
):
    def broken(method):
        if method == "drop":
            raise RuntimeError("a bug of the backend")

    bring_up_to_date("note", rebuild=True)
    long_ago = timezone.now() - datetime.timedelta(days=1)
    Collection.objects.filter(state="retired").update(retired_at=long_ago)
    server.before = broken
    bring_up_to_date("note")
    assert Collection.objects.filter(state="retired").exists()
    server.before = lambda method: None
    Collection.objects.filter(state="retired").update(next_attempt=long_ago)
    bring_up_to_date("note")
    assert not Collection.objects.filter(state="retired").exists()


def refuse_upserts(server):
    def refuse(method):
        if method == "upsert":
            raise BackendRefused("the disk is full")

    server.before = refuse


def held(server, collection):
    return {id for batch in server.scan(collection.spec) for id in batch.uuids}


def live(collection):
    documents = Document.objects.filter(collection=collection, deleted_at=None)
    return set(documents.values_list("pk", flat=True))


def test_a_store_that_accepts_no_more_records_loses_what_was_deleted(
    notes, server, bring_up_to_date
):
    collection = Collection.objects.get()
    Note.objects.create(text="butter")
    notes[0].delete()
    refuse_upserts(server)
    with pytest.raises(BackendRefused):
        bring_up_to_date("note")
    assert len(held(server, collection)) == 2
    assert held(server, collection) < live(collection)


def test_removals_reach_a_store_that_accepts_no_more_records(notes, server, bring_up_to_date):
    """Deletions of objects that left between two attempts to send what is refused, too."""
    collection = Collection.objects.get()
    Note.objects.create(text="butter")
    refuse_upserts(server)
    with pytest.raises(BackendRefused):
        bring_up_to_date("note")
    Note.objects.filter(text="bread")._raw_delete("default")
    with pytest.raises(BackendRefused):
        updating.apply_removals(NOTES, compare=True)
    assert len(held(server, collection)) == 2


def test_a_first_build_that_is_refused_keeps_nothing_that_was_deleted(server, bring_up_to_date):
    """The store took some of the records before it refused the others."""
    first = Note.objects.create(text="bread")
    bring_up_to_date("note")
    collection = Collection.objects.get()
    Collection.objects.update(applied_revision=0)  # as if it had ended before it noted this
    Note.objects.create(text="butter")
    first.delete()
    refuse_upserts(server)
    with pytest.raises(BackendRefused):
        bring_up_to_date("note")
    assert held(server, collection) == set()


def test_a_purge_deletes_ghosts_in_a_store_that_accepts_no_more_records(
    notes, server, bring_up_to_date
):
    collection = Collection.objects.get()
    server.upsert(
        collection.spec,
        RecordBatch.of(
            ids=[uuid4()],
            vectors=[[1.0] * 64],
            metadata=[{"object": "testapp.note:0", "model": "testapp.note"}],
        ),
    )
    Note.objects.create(text="butter")
    refuse_upserts(server)
    with pytest.raises(BackendRefused):
        bring_up_to_date("note")
    with pytest.raises(BackendRefused):
        updating.apply_removals(NOTES, compare=True)
    assert len(held(server, collection)) == 3
    assert held(server, collection) < live(collection)


def test_deletions_of_a_long_push_are_sent_once(notes, server, bring_up_to_date, monkeypatch):
    monkeypatch.setattr(pushing, "_STEP", 2)
    monkeypatch.setattr(pushing, "_FEW_REVISIONS", 0)
    monkeypatch.setattr(shares, "SIZE", 1)
    collection = Collection.objects.get()
    for note in notes:
        note.delete()
    Note.objects.bulk_create(Note(text=f"cake {number}") for number in range(9))
    bring_up_to_date("note")
    assert held(server, collection) == live(collection)
    assert server.deleted == 3
