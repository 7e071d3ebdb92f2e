"""Content that was deleted, unpublished or restricted leaves every table and store."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.utils import timezone
from django_tasks import task_backends
from wagtail.models import PageViewRestriction

from tests.testapp.models import Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.exceptions import BackendUnavailable, EmbeddingUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import removing
from wagtail_vector_index.indexing.batches import batch_of
from wagtail_vector_index.indexing.cleaning import clean_up, next_cleaning
from wagtail_vector_index.indexing.orphans import orphans, remove
from wagtail_vector_index.indexing.outbox import append
from wagtail_vector_index.indexing.updating import apply_changes, apply_removals, update
from wagtail_vector_index.models import (
    Collection,
    Document,
    Embedding,
    PendingChange,
    tables,
)
from wagtail_vector_index.tasks import apply_pending_changes

NOTES, ARTICLES = "testapp.Note", "testapp.ArticlePage"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _queue(settings, server, embedder):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}


@pytest.fixture
def notes():
    notes = [Note.objects.create(text=text) for text in ("bread", "cake")]
    update(get_index(NOTES))
    task_backends["default"].clear()
    return notes


def time_passes(**time):
    """As if all that was made or waits had been so much earlier."""
    for model, *names in (
        (Collection, "retired_at", "next_attempt", "retry_task_at"),
        (Document, "deleted_at"),
        (Embedding, "created_at"),
        (PendingChange, "next_attempt"),
    ):
        for name in names:
            for row in model.objects.exclude(**{name: None}):
                moment = getattr(row, name) - dt.timedelta(**time)
                model.objects.filter(pk=row.pk).update(**{name: moment})


def down(*arguments):
    raise EmbeddingUnavailable("the service is down")


def vectors():
    return Embedding.objects.count()


def in_the_store():
    """The number of records in each collection of the vector backend."""
    return {name: len(held.records) for name, held in vector_backends["default"].stored.items()}


def test_a_deleted_object_leaves_nothing_after_an_hour(notes):
    notes[0].delete()
    made = attempt(NOTES)
    assert Document.objects.exclude(content="").count() == 1
    assert 3500 < made.retry_in <= 3600
    time_passes(minutes=61)
    assert attempt(NOTES).retry_in is None
    assert (Document.objects.count(), vectors()) == (1, 1)
    assert next_cleaning() is None


def test_one_cleaning_deletes_what_several_changes_have_left(notes):
    for note in notes:
        note.delete()
        attempt(NOTES)
    time_passes(minutes=55)
    assert 200 < attempt(NOTES).retry_in <= 300
    assert (Document.objects.count(), vectors()) == (2, 2)
    first = Document.objects.order_by("revision").first()
    Document.objects.filter(pk=first.pk).update(
        deleted_at=timezone.now() - dt.timedelta(minutes=61)
    )
    assert attempt(NOTES).retry_in is None
    assert (Document.objects.count(), vectors()) == (0, 0)


def test_a_task_comes_for_the_cleaning(notes):
    notes[0].delete()
    apply_pending_changes.call(NOTES)
    (later,) = [result for result in task_backends["default"].results if result.task.run_after]
    seconds = (later.task.run_after - timezone.now()).total_seconds()
    assert 3500 < seconds <= 3600
    time_passes(seconds=seconds + 1)
    apply_pending_changes.call(*later.args)
    assert (Document.objects.count(), vectors()) == (1, 1)


def test_an_edit_leaves_nothing_of_the_old_text(notes):
    notes[0].text = "tea"
    notes[0].save()
    attempt(NOTES)
    assert vectors() == 3
    time_passes(minutes=61)
    attempt(NOTES)
    assert vectors() == 2


def test_an_embedding_whose_object_went_before_it_was_written(notes, monkeypatch):
    Embedding.objects.create(fingerprint="f", content_hash="h", vector=b"")
    assert 3500 < attempt(NOTES).retry_in <= 3600
    time_passes(minutes=61)
    attempt(NOTES)
    assert vectors() == 2


def test_a_replaced_collection_goes_after_some_minutes(notes):
    old = Collection.objects.get(index=NOTES)
    update(get_index(NOTES), rebuild=True)
    assert 200 < attempt(NOTES).retry_in <= 300
    time_passes(minutes=6)
    attempt(NOTES)
    assert not Collection.objects.filter(pk=old.pk).exists()
    assert list(in_the_store()) == [Collection.objects.get(index=NOTES).name]


class TestMany:
    """Many rows are deleted in parts, so that editors can save in between."""

    @pytest.fixture(autouse=True)
    def _parts(self, monkeypatch):
        monkeypatch.setattr(tables, "_PART", 2)
        for number in range(7):
            Note.objects.create(text=f"tea {number}")
        update(get_index(NOTES))

    @pytest.fixture
    def deleted(self):
        """The number of rows that each DELETE has deleted."""
        numbers = []

        def count(execute, sql, params, many, context):
            result = execute(sql, params, many, context)
            if sql.startswith("DELETE"):
                numbers.append(context["cursor"].rowcount)
            return result

        with connection.execute_wrapper(count):
            yield numbers

    def test_a_replaced_collection(self, deleted):
        update(get_index(NOTES), rebuild=True)
        time_passes(minutes=6)
        deleted.clear()
        clean_up()
        assert (sum(deleted), max(deleted)) == (7 + 1, 2)
        assert Document.objects.count() == 7

    def test_deleted_objects(self, deleted):
        Note.objects.all().delete()
        update(get_index(NOTES))
        time_passes(minutes=61)
        deleted.clear()
        clean_up()
        assert (sum(deleted), max(deleted)) == (7 + 7, 2)
        assert (Document.objects.count(), vectors()) == (0, 0)

    def test_an_index_that_is_no_longer_in_the_code(self, deleted):
        append("shop.OldIndex", [f"shop.thing:{number}" for number in range(7)])
        (orphan,) = (each for each in orphans([NOTES]) if each.index == "shop.OldIndex")
        deleted.clear()
        remove(orphan)
        assert (sum(deleted), max(deleted)) == (7, 2)

    def test_a_cleaning_that_ends_early_goes_on_later(self):
        old = Collection.objects.get(index=NOTES)
        update(get_index(NOTES), rebuild=True)
        time_passes(minutes=6)
        first = []

        def killed(execute, sql, params, many, context):
            if sql.startswith("DELETE") and (first or first.append(sql)):
                raise KeyboardInterrupt
            return execute(sql, params, many, context)

        with pytest.raises(KeyboardInterrupt), connection.execute_wrapper(killed):
            clean_up()
        assert old.documents.count() == 5
        assert old.name in in_the_store()
        clean_up()
        assert not Collection.objects.filter(pk=old.pk).exists()
        assert set(in_the_store().values()) == {7}
        assert Document.objects.count() == vectors() == 7


def test_a_store_that_is_down_keeps_no_text_and_is_tried_again(notes):
    old = Collection.objects.get(index=NOTES)
    update(get_index(NOTES), rebuild=True)

    def fail(method):
        if method == "drop":
            raise BackendUnavailable("the server is down")

    vector_backends["default"].before = fail
    time_passes(minutes=6)
    made = attempt(NOTES)
    assert 5 < made.retry_in <= 10
    old.refresh_from_db()
    assert (old.attempts, old.documents.count()) == (1, 0)
    vector_backends["default"].before = lambda method: None
    time_passes(seconds=11)
    attempt(NOTES)
    assert not Collection.objects.filter(pk=old.pk).exists()
    assert old.name not in in_the_store()


def test_ghosts_go_with_the_cleaning(notes):
    """A push that came late may have left them."""
    collection = Collection.objects.get(index=NOTES)
    (gone,) = Document.objects.filter(object_key=f"testapp.note:{notes[0].pk}")
    (late,) = batch_of(collection, [gone.pk])
    notes[0].delete()
    attempt(NOTES)
    vector_backends["default"].upsert(collection.spec, late)
    time_passes(minutes=61)
    attempt(NOTES)
    assert in_the_store() == {collection.name: 1}


@pytest.mark.parametrize("action", ["delete", "unpublish", "restrict"])
def test_removals_wait_for_no_embedding_service(article, embedder, action):
    page = article("Secret")
    article("Bread")
    update(get_index(ARTICLES))
    embedder.before = down
    article("Cake")
    assert attempt(ARTICLES).failures == 1
    {
        "delete": page.delete,
        "unpublish": page.unpublish,
        "restrict": lambda: PageViewRestriction.objects.create(page=page, restriction_type="login"),
    }[action]()
    assert attempt(ARTICLES).retry_in > 5  # it waits for the service
    texts = Document.objects.filter(collection__index=ARTICLES).exclude(content="")
    assert [document.content for document in texts] == ["Bread"]
    assert set(in_the_store().values()) == {1}
    assert PendingChange.objects.filter(index=ARTICLES).count() == 1


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("compare", [False, True])
def test_a_page_that_is_published_while_it_is_removed(
    article, found, monkeypatch, compare, is_written
):
    index = get_index(ARTICLES)
    page, gone = article("Bread"), article("Cake")
    update(index)
    page.unpublish()
    gone.unpublish()
    sources_among = type(index).sources_among

    def published_afterwards(self, keys):
        visible = sources_among(self, keys)
        monkeypatch.setattr(type(index), "sources_among", sources_among)
        page.save_revision().publish()
        if is_written:
            apply_changes(index)
        return visible

    monkeypatch.setattr(type(index), "sources_among", published_afterwards)
    assert apply_removals(index, compare=compare) == 1
    assert found(index, "bread") == ["Bread"]
    apply_changes(index)
    assert found(index, "bread") == ["Bread"]
    assert set(in_the_store().values()) == {1}


def test_removals_of_which_another_process_writes_one(notes, monkeypatch):
    rows = PendingChange.objects.filter(index=NOTES)
    for note in notes:
        note.delete()

    def after_another(*arguments):
        monkeypatch.setattr(removing, "write", write)
        rows.first().delete()
        return write(*arguments)

    write = removing.write
    monkeypatch.setattr(removing, "write", after_another)
    apply_removals(get_index(NOTES), compare=True)
    assert not Document.objects.exclude(content="").exists()
    assert not rows.exists()


def test_what_is_refused_and_then_deleted_leaves_no_error(notes, embedder):
    embedder.before = down
    note = Note.objects.create(text="tea")
    attempt(NOTES)
    note.delete()
    attempt(NOTES)
    assert not PendingChange.objects.filter(index=NOTES).exists()
