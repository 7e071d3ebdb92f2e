"""Nothing that an update does for an object, or keeps in memory, grows with the index."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from wagtail.models import PageViewRestriction

from tests.testapp.models import ArticlePage, Country, Note, Product
from wagtail_vector_index.content import declaration
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing import (
    backend_vectors,
    batches,
    comparing,
    draining,
    expanding,
    removing,
)
from wagtail_vector_index.indexing.comparing import changed_batches, changed_keys, gone_batches
from wagtail_vector_index.indexing.expanding import expand
from wagtail_vector_index.indexing.fetching import fetch_to_prepare
from wagtail_vector_index.indexing.outbox import append, queue, queue_batches
from wagtail_vector_index.indexing.plan import live_collections
from wagtail_vector_index.indexing.progress import Progress
from wagtail_vector_index.indexing.shares import Share
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.indexing.updating import apply_removals, update
from wagtail_vector_index.models import Document, PendingChange

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index

counts_steps = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="only SQLite counts its steps"
)


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of three keys."""
    monkeypatch.setattr(declaration, "_CHECK_SIZE", 3)
    monkeypatch.setattr(batches, "_KEYS", 3)
    monkeypatch.setattr(comparing, "BATCH_SIZE", 2)


def steps(work):
    """Return how many hundreds of steps SQLite takes for some work."""
    count = 0

    def step():
        nonlocal count
        count += 1
        return 0

    connection.connection.set_progress_handler(step, 100)
    try:
        work()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return count


def a_document_of_each(collection, hashes):
    """Write documents without vectors, one for each of these content hashes."""
    return Document.objects.bulk_create(
        Document(
            collection=collection,
            object_key=f"testapp.note:{len(hashes)}-{number}",
            position=0,
            content="bread",
            content_hash=content_hash,
            metadata="{}",
            source_hash="",
            revision=1,
        )
        for number, content_hash in enumerate(hashes)
    )


class Count(Progress):
    """Counts the objects that are done."""

    done = 0

    def indexed(self, count):
        self.done += count


@counts_steps
@pytest.mark.parametrize("has_failed", [False, True])
def test_a_share_takes_no_longer_if_more_changes_wait(has_failed):
    taken = []
    for numbers in (range(1_000), range(1_000, 8_000)):
        append(NOTES.name, [f"testapp.note:{number}" for number in numbers])
        if has_failed:
            PendingChange.objects.filter(pk__lte=10).update(attempts=1)
        share = Share(NOTES.name)

        def work(share=share):
            expand(NOTES)
            assert len(share.take(timezone.now())) == 512

        taken.append(steps(work))
        share.give_back()
    assert taken[1] <= 1.3 * taken[0]


@counts_steps
def test_a_share_takes_little_longer_beside_others():
    """SQLite without statistics might read the rows of other drains again for each row."""
    append(NOTES.name, [f"testapp.note:{number}" for number in range(20_000)])
    taken = []
    for _ in range(5):
        share = Share(NOTES.name)
        taken.append(steps(lambda share=share: share.take(timezone.now())))
        assert share.rows().count() == 512
    # It counts what is left, and passes over the rows that others hold, but no row twice.
    assert taken[-1] <= 10 * taken[0]


@counts_steps
@pytest.mark.parametrize("count", [1, 512])
def test_to_queue_objects_takes_no_longer_if_more_wait(count):
    taken = []
    for numbers in (range(1_000), range(1_000, 8_000)):
        append(NOTES.name, [f"testapp.note:{number}" for number in numbers])
        keys = [f"testapp.note:{number}" for number in range(count)]
        taken.append(steps(lambda keys=keys: queue(NOTES.name, keys)))
    assert taken[1] <= 1.3 * taken[0] + 2


@counts_steps
@pytest.mark.parametrize("count", [1, 3, 100])
def test_to_read_some_documents_takes_no_longer_if_there_are_more(count, bring_up_to_date):
    bring_up_to_date("note")
    [collection] = live_collections(NOTES.name)
    taken = []
    for more in (100, 2_000):
        made = a_document_of_each(collection, [f"{more}-{number}" for number in range(more)])
        ids = [document.pk for document in made[:count]]
        assert len(batches.live_among(collection, ids)) == count
        taken.append(steps(lambda ids=ids: batches.live_among(collection, ids)))
    assert taken[1] <= 1.3 * taken[0] + 2


@counts_steps
def test_the_status_takes_no_longer_if_there_are_more_documents(bring_up_to_date):
    bring_up_to_date("note")
    [collection] = live_collections(NOTES.name)
    taken = []
    for count in (100, 2_000):
        a_document_of_each(collection, [f"{count}-{number}" for number in range(count)])
        status = status_of(NOTES)
        taken.append(steps(lambda status=status: (status.is_ok, status.objects, status.documents)))
    assert taken[1] <= 1.3 * taken[0] + 2


def test_a_batch_is_written_before_the_next_is_read(small_batches, bring_up_to_date):
    """So neither all keys nor all hashes are in memory."""
    Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(10))
    progress, written = Count(), []

    def slowly(found):
        for keys in found:
            yield keys
            written.append((progress.done, PendingChange.objects.count()))

    queue_batches(NOTES.name, slowly(changed_batches(NOTES, [], progress)))
    assert [count for _, count in written] == [3, 6, 9, 10]
    PendingChange.objects.all().delete()
    written.clear()
    bring_up_to_date("note")
    Note.objects.update(text="butter")
    progress.done = 0
    collections = live_collections(NOTES.name)
    queue_batches(NOTES.name, slowly(changed_batches(NOTES, collections, progress)))
    assert written == [(3, 3), (6, 6), (9, 9), (10, 10)]


@pytest.mark.parametrize("model", [Note, Product, Country])
def test_keys_of_every_kind_come_batch_by_batch(small_batches, model):
    values = [{"code": f"{number}:ü/{number}"} for number in range(10)]
    made = [model(**(value if model is Country else {})) for value in values]
    model.objects.bulk_create(made)
    index = type("Batched", (VectorIndex,), {"name": "b", "querysets": [model.objects.all()]})()
    found = list(index.source_batches())
    assert [len(keys) for keys in found] == [3, 3, 3, 1]
    assert sorted(sum(found, [])) == sorted(f"{model._meta.label_lower}:{one.pk}" for one in made)


def test_an_object_of_several_querysets_comes_once(small_batches):
    made = Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(8))
    latest = Note.objects.filter(pk__gte=made[3].pk)
    first = Note.objects.filter(pk__lte=made[5].pk)
    index = type("Several", (VectorIndex,), {"name": "s", "querysets": [latest, first]})()
    keys = index.source_keys()
    assert len(keys) == len(set(keys)) == 8


def test_hidden_pages_do_not_end_the_pages_that_follow(small_batches, article):
    section = article("Section")
    for number in range(4):
        article(f"Hidden {number}", parent=section)
    shown = [article(f"Shown {number}") for number in range(4)]
    PageViewRestriction.objects.create(page=section, restriction_type="login")
    keys = ArticlePage.vector_index.source_keys()
    assert keys == [f"wagtailcore.page:{page.pk}" for page in shown]


def test_gone_objects_are_found_batch_by_batch(small_batches, bring_up_to_date):
    made = Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(10))
    bring_up_to_date("note")
    gone = {f"testapp.note:{note.pk}" for note in made[1:9:2]}
    Note.objects.filter(pk__in=[note.pk for note in made[1:9:2]]).delete()
    collections = live_collections(NOTES.name)
    assert set(changed_keys(NOTES, collections, Progress())) == gone
    # An object that two collections have comes once.
    found = list(gone_batches(NOTES, [*collections, *collections]))
    assert sorted(sum(found, [])) == sorted(gone)
    PendingChange.objects.all().delete()
    bring_up_to_date("note")
    assert Document.objects.filter(deleted_at=None).count() == 6


def test_a_reversed_queryset_is_read_to_its_end(small_batches):
    made = Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(10))
    reversed_notes = Note.objects.order_by("text").reverse()
    index = type("Reversed", (VectorIndex,), {"name": "r", "querysets": [reversed_notes]})()
    keys = index.source_keys()
    assert sorted(keys) == sorted(f"testapp.note:{note.pk}" for note in made)


@pytest.mark.parametrize("by", ["a window function", "DISTINCT ON"])
def test_a_queryset_that_chooses_among_its_rows(small_batches, bring_up_to_date, monkeypatch, by):
    """Which objects it contains depends on all of its rows, not on those of a batch."""
    made = Note.objects.bulk_create(Note(text=f"bread {n}", stars=n % 5) for n in range(15))
    if by == "DISTINCT ON":
        if not connection.features.can_distinct_on_fields:
            pytest.skip("this database has no DISTINCT ON")
        latest = Note.objects.order_by("stars", "-pk").distinct("stars")
    else:
        rank = Window(RowNumber(), partition_by=["stars"], order_by="-pk")
        latest = Note.objects.annotate(rank=rank).filter(rank=1)
    first = Note.objects.filter(pk__lte=made[0].pk)
    monkeypatch.setattr(type(NOTES), "querysets", [latest, first])
    expected = {f"testapp.note:{made[n].pk}" for n in (0, 10, 11, 12, 13, 14)}
    assert sorted(NOTES.source_keys()) == sorted(expected)
    assert NOTES.sources_among([f"testapp.note:{note.pk}" for note in made]) == expected
    assert NOTES.sources_among([f"testapp.note:{made[5].pk}"]) == set()
    bring_up_to_date("note")
    assert {f"testapp.note:{note.pk}" for note in NOTES.search("bread", limit=20)} == expected


def test_a_comparison_that_fails_leaves_one_row_for_each_object(small_batches):
    def failing():
        yield ["testapp.note:1", "testapp.note:2"]
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            queue_batches(NOTES.name, failing())
    assert PendingChange.objects.count() == 2


def test_a_promise_of_another_process_stays(small_batches):
    promise = uuid4()
    append(NOTES.name, ["testapp.note:1"], promise=promise)
    queue_batches(NOTES.name, [["testapp.note:1"]])
    assert PendingChange.objects.filter(promise=promise).exists()


def test_rows_that_wait_are_replaced_by_rows_that_are_due(small_batches):
    keys = [f"testapp.note:{number}" for number in range(6)]
    append(NOTES.name, keys[:4])
    later = timezone.now() + timezone.timedelta(hours=1)
    PendingChange.objects.update(attempts=2, last_error="no description", next_attempt=later)
    held = PendingChange.objects.filter(object_key=keys[0])
    held.update(holder="elsewhere:7#1", holder_seen=timezone.now())
    queue_batches(NOTES.name, [keys[:3], keys[3:]])
    rows = PendingChange.objects.order_by("object_key", "pk")
    assert list(rows.values_list("object_key", "attempts")) == [
        (keys[0], 2),
        (keys[0], 0),
        *((key, 2) for key in keys[1:4]),
        *((key, 0) for key in keys[4:]),
    ]
    assert not rows.filter(next_attempt__gt=timezone.now(), holder=None).exists()


def test_long_objects_are_fetched_little_more_than_once(article, monkeypatch):
    """One transaction writes few of them, so few are fetched for it."""
    body = "".join(f"<p>{word} {'bread ' * 400}</p>" for word in ("rye", "wheat", "spelt", "oat"))
    pages = [article(f"Long {number}", body) for number in range(40)]
    monkeypatch.setattr(draining, "MAX_DOCUMENTS", 6)
    fetched = []

    def fetch(index, keys):
        fetched.extend(keys)
        return fetch_to_prepare(index, keys)

    monkeypatch.setattr(draining, "fetch_to_prepare", fetch)
    update(ArticlePage.vector_index)
    assert Document.objects.filter(deleted_at=None).count() > 2 * len(pages)
    assert set(fetched) == {f"wagtailcore.page:{page.pk}" for page in pages}
    assert len(fetched) <= 3 * len(pages)


@counts_steps
def test_of_a_text_that_many_have_one_document_is_enough(bring_up_to_date):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    [collection] = live_collections(NOTES.name)
    taken = []
    for count in (500, 4_000):
        hashes = ["other", *["same"] * (count - 1)]
        a_document_of_each(collection, hashes)
        found = {}

        def work(found=found):
            found |= backend_vectors._one_of_each(collection, ["same", "other", "none"])

        taken.append(steps(work))
        assert set(found) == {"same", "other"}
    assert taken[1] <= taken[0] + 2


def test_removals_read_the_outbox_in_parts(small_batches, bring_up_to_date, monkeypatch):
    monkeypatch.setattr(removing, "_SLICE", 3)
    made = Note.objects.bulk_create(Note(text=f"bread {number}") for number in range(10))
    bring_up_to_date("note")
    gone = [note.pk for note in made[::2]]
    keys = [f"testapp.note:{note.pk}" for note in made]
    append(NOTES.name, [*keys, *keys])
    Note.objects.filter(pk__in=gone).delete()
    with CaptureQueriesContext(connection) as captured:
        assert apply_removals(NOTES) == len(gone)
    parts = [one["sql"] for one in captured if one["sql"].endswith("LIMIT 3")]
    # The rows of an object that is gone are removed with the first of them.
    assert len(parts) == 6
    assert Document.objects.filter(deleted_at=None).count() == 5
    assert set(PendingChange.objects.values_list("object_key", flat=True)) == {
        f"testapp.note:{note.pk}" for note in made[1::2]
    }


def test_an_expansion_that_is_interrupted_is_repeated(article, monkeypatch):
    """Its objects are added in several transactions, so that editors can save between them."""
    section = article("Section")
    pages = [article(f"Page {number}", parent=section) for number in range(7)]
    index = ArticlePage.vector_index
    PendingChange.objects.all().delete()
    monkeypatch.setattr(expanding, "_BATCH", 3)
    key = f"wagtailcore.page:{section.pk}"
    append(index.name, [key], PendingChange.Scope.SUBTREE)
    rows = PendingChange.objects.filter(index=index.name)

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(expanding, "_replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            expand(index)
    assert rows.filter(scope=PendingChange.Scope.SUBTREE).exists()
    assert rows.filter(scope=PendingChange.Scope.OBJECT).count() == 6
    expand(index)
    assert not rows.filter(scope=PendingChange.Scope.SUBTREE).exists()
    assert set(rows.values_list("object_key", flat=True)) == {
        f"wagtailcore.page:{page.pk}" for page in (section, *pages)
    }
