"""An index with ``keep_embeddings = False`` has its vectors in the vector backend alone."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from itertools import count

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection
from django.utils import timezone

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index import checks
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    CollectionNotFound,
    EmbeddingUnavailable,
    IndexOutdated,
)
from wagtail_vector_index.handlers import embedding_backends, vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import cleaning, keeping, pushing, shares
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.indexing.updating import apply_changes
from wagtail_vector_index.indexing.verifying import unfound_in_sample
from wagtail_vector_index.models import Collection, Document, Embedding
from wagtail_vector_index.models.transactions import in_transaction

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
TEXTS = ("bread and butter", "cheese and bread", "red wine", "white wine")
State = Collection.State


def use(settings, **backends):
    """Configure vector backends of the tests' app, by their aliases."""
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        alias: {"BACKEND": name if name == "numpy" else f"tests.testapp.backends.{name}"}
        for alias, name in backends.items()
    }


@pytest.fixture(autouse=True)
def _drops(monkeypatch):
    monkeypatch.setattr(type(NOTES), "keep_embeddings", False)


@pytest.fixture
def notes(server, bring_up_to_date, embedder):
    created = [Note.objects.create(text=text) for text in TEXTS]
    bring_up_to_date("note")
    embedder.texts.clear()
    return created


def vectors():
    return Embedding.objects.count()


def dropped():
    return Document.objects.filter(deleted_at=None, embedding=None).count()


def down(*arguments):
    raise BackendUnavailable("the server is down")


def nothing(*arguments):
    pass


def ranking(*arguments, **options):
    """The results with their scores, those with equal scores by name."""
    found = [(-round(hit.vector_score, 5), str(hit)) for hit in NOTES.search(*arguments, **options)]
    return sorted(found)


QUERIES = ("bread", "wine", "red cheese")


def rankings():
    """What searches of each kind find, without a trace of the queries that were embedded."""
    embedder = embedding_backends["default"]
    before = len(embedder.texts)
    found = [ranking(query, mode=mode) for query in QUERIES for mode in ("vector", "hybrid")]
    for note in Note.objects.order_by("pk"):
        similar = NOTES.find_similar(note)
        found.append(sorted((-round(hit.vector_score, 5), str(hit)) for hit in similar))
    del embedder.texts[before:]
    return found


# When they go


def test_vectors_go_once_the_backend_has_them(notes, server):
    assert (vectors(), dropped()) == (0, len(TEXTS))
    assert server.count(Collection.objects.get().spec) == len(TEXTS)


def test_searches_find_the_same(server, bring_up_to_date, embedder, monkeypatch):
    for text in TEXTS:
        Note.objects.create(text=text)
    with monkeypatch.context() as patched:
        patched.setattr(type(NOTES), "keep_embeddings", True)
        bring_up_to_date("note")
        kept = rankings()
    bring_up_to_date("note")
    assert vectors() == 0
    assert rankings() == kept
    embedder.texts.clear()
    similar = async_to_sync(NOTES.afind_similar)(Note.objects.earliest("pk"))
    assert str(similar[0]) == TEXTS[1]
    assert embedder.texts == []


def test_changes_written_by_a_task_leave_no_vectors(notes, embedder, found):
    goat = Note.objects.create(text="goat cheese")
    queue("testapp.Note", [f"testapp.note:{goat.pk}"])
    apply_changes(get_index("note"))
    assert embedder.texts == ["goat cheese"]
    assert vectors() == 0
    assert found(NOTES, "goat", limit=1) == ["goat cheese"]


def test_vectors_wait_for_a_backend_that_is_down(notes, server, bring_up_to_date, embedder):
    server.before = down
    Note.objects.create(text="goat cheese")
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            bring_up_to_date("note")
    assert vectors() == 1
    server.before = nothing
    bring_up_to_date("note")
    assert embedder.texts == ["goat cheese"]
    assert vectors() == 0


def test_a_vector_that_another_index_keeps_stays(notes, server, bring_up_to_date, article):
    article("Goat cheese")
    bring_up_to_date("ArticlePage")
    Note.objects.create(text="Goat cheese")
    bring_up_to_date("note")
    assert vectors() == 1
    assert Document.objects.get(embedding__isnull=False).object_key.startswith("wagtailcore.page")


def test_few_vectors_are_in_the_database_during_a_build(
    server, bring_up_to_date, embedder, monkeypatch
):
    monkeypatch.setattr(shares, "SIZE", 3)
    for number in range(12):
        Note.objects.create(text=f"note {number}")
    counted = []
    embedder.before = lambda texts: counted.append(vectors())
    bring_up_to_date("note")
    assert counted == [0, 0, 0, 0]
    assert (vectors(), dropped()) == (0, 12)


def test_a_build_goes_on_while_its_backend_is_down(server, bring_up_to_date, embedder, monkeypatch):
    monkeypatch.setattr(shares, "SIZE", 2)
    for text in TEXTS:
        Note.objects.create(text=text)
    server.before = down
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    assert len(embedder.texts) == vectors() == len(TEXTS)
    server.before = nothing
    bring_up_to_date("note")
    assert len(embedder.texts) == len(TEXTS)
    assert vectors() == 0


@pytest.mark.parametrize("step", ["in_transaction", "_delete_unused"])
def test_an_update_that_ends_while_it_drops(notes, bring_up_to_date, monkeypatch, step):
    def killed(*arguments):
        raise KeyboardInterrupt

    Note.objects.create(text="goat cheese")
    with monkeypatch.context() as patched:
        patched.setattr(keeping, step, killed)
        with pytest.raises(KeyboardInterrupt):
            bring_up_to_date("note")
    assert vectors() == 1
    # A vector without a document goes with the next cleaning.
    Embedding.objects.update(created_at=timezone.now() - dt.timedelta(hours=2))
    bring_up_to_date("note")
    assert (vectors(), dropped()) == (0, len(TEXTS) + 1)


def test_a_vector_that_another_process_begins_to_use_is_dropped_later(
    notes, bring_up_to_date, monkeypatch
):
    def in_use(write, using):
        if getattr(write, "__name__", "") == "delete_rows":
            raise IntegrityError
        return in_transaction(write, using)

    Note.objects.create(text="goat cheese")
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "in_transaction", in_use)
        bring_up_to_date("note")
    assert (vectors(), dropped()) == (1, len(TEXTS) + 1)
    cleaning.clean_up(at_once=True)
    assert vectors() == 0


def test_what_an_index_keeps_again_meanwhile_is_not_dropped(
    notes, server, bring_up_to_date, monkeypatch
):
    """Another process has the new setting already."""
    Note.objects.create(text="goat cheese")
    drop = keeping._drop

    def later(own_row, ids):
        own_row.update(keep_embeddings=True)
        return drop(own_row, ids)

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "_drop", later)
        bring_up_to_date("note")
    assert (vectors(), dropped()) == (1, len(TEXTS))


# What is embedded


def test_a_change_of_one_chunk_embeds_only_that(
    server, article, bring_up_to_date, embedder, monkeypatch
):
    monkeypatch.setattr(type(ArticlePage.vector_index), "keep_embeddings", False)
    page = article("Garden", "".join(f"<p>{f'word{n} ' * 70}</p>" for n in range(4)))
    bring_up_to_date("ArticlePage")
    assert Document.objects.count() > 3
    embedder.texts.clear()
    server.upserted = 0
    page.intro = page.intro.replace("word2", "hedge")
    page.save_revision().publish()
    # Nor are the vectors of the other chunks needed, so a backend that is down is not asked.
    server.get = down
    bring_up_to_date("ArticlePage")
    assert server.upserted == 1
    (text,) = embedder.texts
    assert "hedge" in text


def test_another_filter_value_embeds_nothing(notes, bring_up_to_date, embedder):
    Note.objects.filter(text="red wine").update(stars=5)
    bring_up_to_date("note")
    assert embedder.texts == []
    assert vectors() == 0
    assert len(ranking("wine")) == len(TEXTS)


def test_an_object_with_a_known_text_embeds_nothing(notes, bring_up_to_date, embedder):
    Note.objects.create(text="red wine")
    bring_up_to_date("note")
    assert embedder.texts == []


def test_a_rebuild_embeds_only_what_is_missing(notes, bring_up_to_date, embedder):
    before = rankings()
    bring_up_to_date("note", rebuild=True)
    assert embedder.texts == []
    assert rankings() == before
    embedder.texts.clear()
    Note.objects.create(text="goat cheese")
    bring_up_to_date("note", rebuild=True)
    assert embedder.texts == ["goat cheese"]
    # The replaced collection goes some minutes later, and with it what only it has left.
    cleaning.clean_up(at_once=True)
    assert vectors() == 0


def test_a_rebuild_in_another_backend_embeds_nothing(
    server, bring_up_to_date, embedder, settings, monkeypatch
):
    use(settings, default="DirectionBackend", archive="ServerBackend")
    for text in TEXTS:
        Note.objects.create(text=text)
    bring_up_to_date("note")
    before = rankings()
    embedder.texts.clear()
    monkeypatch.setattr(type(NOTES), "vector_backend", "archive")
    bring_up_to_date("note")
    assert Collection.objects.get(state=State.ACTIVE).vector_backend == "archive"
    assert embedder.texts == []
    assert rankings() == before


@pytest.mark.parametrize(
    ("metric", "then", "embedded"),
    [
        ("cosine", "dot", len(TEXTS)),
        ("dot", "cosine", 0),
    ],
)
def test_vectors_whose_lengths_are_lost_serve_no_other_metric(
    server, bring_up_to_date, embedder, settings, monkeypatch, metric, then, embedded
):
    use(settings, default="DirectionBackend")
    monkeypatch.setattr(type(NOTES), "metric", metric)
    for text in TEXTS:
        Note.objects.create(text=text)
    bring_up_to_date("note")
    embedder.texts.clear()
    monkeypatch.setattr(type(NOTES), "metric", then)
    # A vector that came back under cosine is in the database when dot needs it.
    if metric == "cosine":
        keeping.embed_again(
            Collection.objects.get(),
            embedding_backends["default"],
            list(Document.objects.values_list("pk", flat=True)),
        )
    bring_up_to_date("note")
    assert len(embedder.texts) == embedded
    lengths = {
        round(sum(number**2 for number in record.vector), 2)
        for collection in Collection.objects.filter(state=State.ACTIVE)
        for batch in vector_backends["default"].scan(collection.spec)
        for record in batch
    }
    assert (lengths == {1.0}) == (then == "cosine")


def test_a_rebuild_while_the_backend_with_the_vectors_is_down(
    notes, server, bring_up_to_date, embedder, settings, monkeypatch
):
    use(settings, default="ServerBackend", archive="ServerBackend")
    bring_up_to_date("note", rebuild=True)
    embedder.texts.clear()
    monkeypatch.setattr(type(NOTES), "vector_backend", "archive")
    monkeypatch.setattr(vector_backends["default"], "get", down)
    with pytest.raises(BackendUnavailable, match="remove its alias from the settings"):
        bring_up_to_date("note")
    assert embedder.texts == []
    (failed,) = status_of(NOTES).failed_collections
    assert failed.last_error == "BackendUnavailable: the server is down"
    use(settings, archive="ServerBackend")
    bring_up_to_date("note")
    assert sorted(embedding_backends["default"].texts) == sorted(TEXTS)
    assert len(ranking("wine")) == len(TEXTS)


def test_an_index_does_not_wait_for_the_backend_of_another(
    notes, server, bring_up_to_date, article, embedder, monkeypatch, caplog
):
    article("red wine")
    bring_up_to_date("ArticlePage")
    assert embedder.texts == []  # its vector was copied
    article("white wine")
    monkeypatch.setattr(server, "get", down)
    bring_up_to_date("ArticlePage")
    assert embedder.texts == ["white wine"]
    assert "No vectors are copied from testapp_note" in caplog.text


# What a backend has lost


def test_a_lost_collection_is_embedded_and_filled_again(notes, server, bring_up_to_date, embedder):
    before = rankings()
    server.drop(Collection.objects.get().spec)
    with pytest.raises(CollectionNotFound, match="run: manage.py update_vector_indexes testapp.N"):
        list(NOTES.find_similar(notes[0]))
    bring_up_to_date("note")
    assert sorted(embedder.texts) == sorted(TEXTS)
    assert rankings() == before
    assert (vectors(), dropped()) == (0, len(TEXTS))


def test_only_an_update_embeds_what_was_lost(notes, server, bring_up_to_date, embedder):
    """A million texts may be expensive, so a single change must not have them embedded."""
    server.drop(Collection.objects.get().spec)
    queue(NOTES.name, [f"testapp.note:{Note.objects.create(text='butter').pk}"])
    with pytest.raises(CollectionNotFound, match="does not keep embeddings. To embed its texts"):
        apply_changes(NOTES)
    with pytest.raises(CollectionNotFound, match="run: manage.py update_vector_indexes testapp.N"):
        pushing.sweep(Collection.objects.get(), server)
    assert embedder.texts == ["butter"]
    bring_up_to_date("note")
    assert sorted(embedder.texts) == sorted([*TEXTS, "butter"])
    assert len(ranking("butter")) == len(TEXTS) + 1


def test_a_refill_that_was_cut_off_goes_on_where_it_stopped(
    notes, server, bring_up_to_date, embedder, monkeypatch
):
    monkeypatch.setattr(pushing, "_STEP", 1)
    monkeypatch.setattr(pushing, "_FEW_REVISIONS", 0)
    for text in ("goat cheese", "blue cheese"):
        Note.objects.create(text=text)
        bring_up_to_date("note")
    embedder.texts.clear()
    server.drop(Collection.objects.get().spec)
    calls = []

    def fail_later(method):
        calls.append(method)
        if calls.count("upsert") == 2:
            raise BackendUnavailable("the server is down")

    server.before = fail_later
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    server.before = nothing
    bring_up_to_date("note")
    assert len(embedder.texts) == len(set(embedder.texts)) == len(TEXTS) + 2
    assert server.count(Collection.objects.get().spec) == len(TEXTS) + 2
    assert (vectors(), dropped()) == (0, len(TEXTS) + 2)


@pytest.mark.django_db(transaction=True)
def test_a_refill_that_is_killed_before_one_of_its_writes(notes, server, bring_up_to_date):
    """The next update mends what it leaves, whichever write it is."""
    for number in count(1, 5):
        Note.objects.filter(pk=notes[0].pk).update(text=f"bread and {number} eggs")
        server.drop(Collection.objects.get().spec)
        killing = Killing(number)
        with connection.execute_wrapper(killing), suppress(KeyboardInterrupt):
            bring_up_to_date("note")
        bring_up_to_date("note")
        cleaning.clean_up(at_once=True)
        assert (vectors(), dropped()) == (0, len(TEXTS))
        assert server.count(Collection.objects.get().spec) == len(TEXTS)
        if killing.left > 0:  # there were fewer writes
            assert number > 10
            return


class Killing:
    """Ends an update before the write of this number."""

    def __init__(self, number):
        self.left = number

    def __call__(self, execute, sql, *arguments):
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return execute(sql, *arguments)


def test_a_lost_collection_waits_for_the_embedding_service(
    notes, server, bring_up_to_date, embedder
):
    def fail(texts):
        raise EmbeddingUnavailable("the service is down")

    server.drop(Collection.objects.get().spec)
    embedder.before = fail
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date("note")
    embedder.before = nothing
    bring_up_to_date("note")
    assert len(ranking("wine")) == len(TEXTS)


def test_a_lost_collection_whose_model_is_gone(notes, server, settings):
    server.drop(Collection.objects.get().spec)
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings", "MODEL": "better"}
    }
    with pytest.raises(IndexOutdated, match="update_vector_indexes testapp.Note --rebuild"):
        pushing.reconcile(Collection.objects.get(), server)


def test_a_lost_collection_whose_model_only_a_service_knows(notes, server, monkeypatch):
    def fail(embedder):
        raise EmbeddingUnavailable("the service is down")

    server.drop(Collection.objects.get().spec)
    monkeypatch.setattr(type(embedding_backends["default"]), "fingerprint", property(fail))
    with pytest.raises(EmbeddingUnavailable):
        pushing.reconcile(Collection.objects.get(), server)


def test_a_text_that_cannot_be_embedded_any_more(notes, server, bring_up_to_date, embedder, caplog):
    def refuse(texts):
        if "red wine" in texts:
            raise ValueError("no wine")

    server.drop(Collection.objects.get().spec)
    embedder.before = refuse
    bring_up_to_date("note")
    assert f"lacks a vector of testapp.note:{notes[2].pk}" in caplog.text
    assert len(ranking("wine")) == len(TEXTS) - 1
    embedder.before = nothing
    bring_up_to_date("note")
    assert len(ranking("wine")) == len(TEXTS)


def test_lost_records_are_embedded_again(notes, server, bring_up_to_date, embedder):
    collection = Collection.objects.get()
    server.delete(collection.spec, [Document.objects.get(content="red wine").pk])
    assert unfound_in_sample(collection, server) == (0, len(TEXTS) - 1)
    assert embedder.texts == []
    bring_up_to_date("note")
    assert embedder.texts == ["red wine"]
    bring_up_to_date("note")
    assert server.count(collection.spec) == len(TEXTS)
    assert vectors() == 0


def test_records_that_a_crash_made_unfindable_are_mended(
    bring_up_to_date, embedder, settings, found
):
    use(settings, default="CrashingBackend")
    for text in TEXTS:
        Note.objects.create(text=text)
    bring_up_to_date("note")
    embedder.texts.clear()
    vector_backends["default"].crash(Document.objects.values_list("pk", flat=True)[:2])
    bring_up_to_date("note")
    assert embedder.texts == []
    assert len(found(NOTES, "wine")) == len(TEXTS)


def test_a_site_that_takes_over_sends_everything_again(notes, server, bring_up_to_date, embedder):
    Collection.objects.update(applied_revision=0)
    bring_up_to_date("note")
    assert embedder.texts == []
    assert len(ranking("wine")) == len(TEXTS)


def test_pgvector_alone_has_the_vectors(settings, bring_up_to_date, embedder):
    """A store in the site's own database."""
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'")
        if not cursor.fetchall():
            pytest.skip("this PostgreSQL has no pgvector")
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": {"BACKEND": "pgvector"}}
    for text in TEXTS:
        Note.objects.create(text=text)
    bring_up_to_date("note")
    before = rankings()
    assert vectors() == 0
    embedder.texts.clear()
    bring_up_to_date("note", rebuild=True)
    assert embedder.texts == []
    assert rankings() == before
    vector_backends["default"].drop(Collection.objects.get(state=State.ACTIVE).spec)
    bring_up_to_date("note")
    assert sorted(embedder.texts) == sorted(TEXTS)
    assert rankings() == before


# When the setting changes


def test_an_index_that_keeps_them_again_fetches_them(
    notes, bring_up_to_date, embedder, monkeypatch
):
    before = rankings()
    with monkeypatch.context() as patched:
        patched.setattr(type(NOTES), "keep_embeddings", True)
        bring_up_to_date("note")
        assert embedder.texts == []
        assert (vectors(), dropped()) == (len(TEXTS), 0)
        assert rankings() == before
    bring_up_to_date("note")
    assert (vectors(), dropped()) == (0, len(TEXTS))


def test_an_index_that_moves_into_memory(notes, bring_up_to_date, settings, monkeypatch, found):
    """Under the same alias, and without the backend that had the vectors."""
    use(settings, default="numpy")
    monkeypatch.setattr(type(NOTES), "keep_embeddings", True)
    with pytest.raises(CollectionNotFound, match="run: manage.py update_vector_indexes testapp.N"):
        found(NOTES, "wine")
    bring_up_to_date("note")
    assert len(found(NOTES, "wine")) == len(TEXTS)


def test_a_backend_in_memory_needs_the_vectors(settings, monkeypatch, bring_up_to_date, found):
    use(settings, default="numpy")
    monkeypatch.setattr(checks, "all_indexes", lambda: [NOTES])
    (error,) = checks.check_indexes()
    assert error.id == "wagtail_vector_index.E008"
    assert "testapp.Note: keep_embeddings is False, but <NumpyBackend 'default'> keeps" in error.msg
    assert error.hint.startswith("Set keep_embeddings = True, or vector_backend to")
    Note.objects.create(text="red wine")
    bring_up_to_date("note")
    assert vectors() == 1
    assert found(NOTES, "wine") == ["red wine"]
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.backends.ServerBackend"}
    }
    assert checks.check_indexes() == []
