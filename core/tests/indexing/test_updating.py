"""An update writes what changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.testapp.models import (
    ArticlePage,
    Author,
    Comment,
    Country,
    EventPage,
    Note,
    Offer,
    Product,
    Remote,
)
from tests.testapp.vector_indexes import ProductIndex, SiteIndex
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import (
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidEmbeddings,
)
from wagtail_vector_index.indexing.comparing import changed_keys
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.progress import Progress
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.indexing.updating import apply_changes, pending_keys
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange
from wagtail_vector_index.plugins import PreparedDocument

pytestmark = pytest.mark.django_db(databases=["default", "other"])

NOTES = Note.vector_index


def live():
    return Document.objects.filter(deleted_at__isnull=True)


def test_new_objects_are_found(bring_up_to_date, found):
    Note.objects.create(text="how to bake bread")
    Note.objects.create(text="how to repair a bicycle")
    bring_up_to_date("note")
    assert found(NOTES, "bake bread", limit=1) == ["how to bake bread"]


def test_an_unchanged_index_embeds_and_writes_nothing(bring_up_to_date, embedder):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    revision = Collection.objects.get().revision
    embedder.calls = 0
    (updated,) = bring_up_to_date("note")
    assert (embedder.calls, updated.drained.objects) == (0, 0)
    assert Collection.objects.get().revision == revision


def test_a_models_own_manager_is_asked_anew(bring_up_to_date, found):
    """What it hides may depend on the moment."""
    bring_up_to_date("offer")
    Offer.objects.create(text="bread at half the price", begins=timezone.now())
    bring_up_to_date("offer")
    assert found(Offer.vector_index, "bread") == ["bread at half the price"]


def test_an_edit_replaces_the_objects_documents_only(bring_up_to_date, found):
    first = Note.objects.create(text="bread")
    Note.objects.create(text="bicycles")
    bring_up_to_date("note")
    kept = live().get(content="bicycles").pk
    first.text = "cheese"
    first.save()
    bring_up_to_date("note")
    assert found(NOTES, "cheese", limit=1) == ["cheese"]
    assert set(live().values_list("content", flat=True)) == {"bicycles", "cheese"}
    assert live().get(content="bicycles").pk == kept


def test_the_edit_of_object_1_leaves_object_10_alone(bring_up_to_date):
    """Keys were matched by substring: ``Note:1`` was also ``Note:10``."""
    for number in range(1, 13):
        Note.objects.create(pk=number, text=f"note about subject{number}")
    bring_up_to_date("note")
    before = {d.object_key: d.pk for d in live()}
    Note.objects.filter(pk=1).update(text="something else")
    bring_up_to_date("note")
    after = {d.object_key: d.pk for d in live()}
    assert {key for key in before if before[key] != after[key]} == {"testapp.note:1"}


def test_an_object_that_gets_shorter_loses_its_old_chunks(bring_up_to_date, found):
    note = Note.objects.create(
        text=". ".join(f"Sentence number {n} of a long text" for n in range(60))
    )
    bring_up_to_date("note")
    assert live().count() > 1
    note.text = "short"
    note.save()
    bring_up_to_date("note")
    assert list(live().values_list("content", flat=True)) == ["short"]


def test_chunks_that_only_move_take_few_statements(bring_up_to_date):
    counts = []
    for number in (3, 30):
        chunks = [" ".join(f"word{n}x{m}" for m in range(95)) + "." for n in range(number + 3)]
        note = Note.objects.create(text="\n\n".join(chunks[2:]))
        bring_up_to_date("note")
        own = live().filter(object_key=object_key(note)).order_by("position")
        before = dict(own.values_list("content", "pk"))
        # Two more at the beginning, one less in the middle.
        wanted = [*chunks[:4], *chunks[5:]]
        note.text = "\n\n".join(wanted)
        note.save()
        queue(NOTES.name, [object_key(note)])
        with CaptureQueriesContext(connection) as captured:
            apply_changes(NOTES)
        counts.append(len(captured))
        assert list(own.values_list("content", flat=True)) == wanted
        assert list(own.values_list("position", flat=True)) == list(range(len(wanted)))
        assert dict(own.filter(content__in=wanted[2:]).values_list("content", "pk")) == {
            content: before[content] for content in wanted[2:]
        }
    assert counts[1] <= counts[0] + 2


def test_deleted_objects_go(bring_up_to_date, found):
    Note.objects.create(text="bread").delete()
    kept = Note.objects.create(text="cheese")
    gone = Note.objects.create(text="wine")
    bring_up_to_date("note")
    gone.delete()
    assert found(NOTES, "wine") == ["cheese"]  # already before the update
    bring_up_to_date("note")
    assert live().get().object_key == f"testapp.note:{kept.pk}"


def test_the_number_of_objects_follows_every_change(bring_up_to_date):
    long = ". ".join(f"Sentence number {n} of a long text" for n in range(60))
    notes = [Note.objects.create(text=text) for text in ("bread", long, "  ", "wine")]
    for texts in ([], [long, "", "cheese", "wine"], ["", "bread"], [long, long, long, long]):
        for note, text in zip(notes, texts, strict=False):
            note.text = text
            note.save()
        bring_up_to_date("note")
        assert status_of(NOTES).objects == sum(bool(note.text.strip()) for note in notes)
    Note.objects.all()[:1].get().delete()
    bring_up_to_date("note")
    assert status_of(NOTES).objects == 3
    bring_up_to_date("note", rebuild=True)
    assert status_of(NOTES).objects == 3


def test_a_wrong_number_of_objects_stops_nothing_and_ends_with_a_rebuild(bring_up_to_date):
    notes = [Note.objects.create(text=text) for text in ("bread", "cheese", "wine")]
    bring_up_to_date("note")
    Collection.objects.update(object_count=0)
    notes[0].delete()
    bring_up_to_date("note")
    assert live().count() == 2
    bring_up_to_date("note", rebuild=True)
    assert status_of(NOTES).objects == 2


def test_the_number_of_objects_is_counted_once_by_a_migration(bring_up_to_date):
    for text in ("bread", "cheese"):
        Note.objects.create(text=text)
    bring_up_to_date("note")
    Collection.objects.update(object_count=0)
    migration = import_module("wagtail_vector_index.migrations.0014_count_objects")
    migration.count(apps, connection.schema_editor())
    assert status_of(NOTES).objects == 2


def test_tombstones_keep_no_text(bring_up_to_date):
    Note.objects.create(text="a secret")
    bring_up_to_date("note")
    Note.objects.all().delete()
    bring_up_to_date("note")
    tombstone = Document.objects.get()
    assert (tombstone.content, tombstone.context, tombstone.metadata) == ("", "", "{}")
    assert tombstone.embedding is None


def test_objects_without_text_are_not_indexed_again_and_again(bring_up_to_date):
    Note.objects.create(text="bread")
    Note.objects.create(text="  ")
    bring_up_to_date("note")
    (updated,) = bring_up_to_date("note")
    assert updated.drained.objects == 0
    assert live().count() == 1


def test_the_same_text_is_embedded_once(bring_up_to_date, embedder):
    for _ in range(3):
        Note.objects.create(text="the same")
    bring_up_to_date("note")
    assert embedder.texts == ["the same"]
    assert live().count() == 3


def test_two_indexes_share_embeddings(article, bring_up_to_date, embedder):
    article("Bread", "<p>flour and water</p>")
    bring_up_to_date("testapp.ArticlePage", "SiteIndex")
    assert len(embedder.texts) == 1
    assert live().count() == 2


def test_a_changed_filter_value_needs_no_new_embedding(bring_up_to_date, embedder):
    note = Note.objects.create(text="bread", stars=1)
    bring_up_to_date("note")
    note.stars = 5
    note.save()
    embedder.calls = 0
    bring_up_to_date("note")
    assert embedder.calls == 0
    assert '"stars":5' in live().get().metadata


def test_a_long_running_process_sees_new_objects(bring_up_to_date, found):
    """A class-level queryset once kept its cached rows."""
    first = Product.objects.create(label="kettle")
    bring_up_to_date("ProductIndex")
    assert len(list(ProductIndex().search("kettle"))) == 1
    Product.objects.create(label="teapot")
    Product.objects.filter(pk=first.pk).update(label="samovar")
    bring_up_to_date("ProductIndex")
    found_labels = {product.label for product in ProductIndex().search("kettle")}
    assert found_labels == {"teapot", "samovar"}


def test_searching_writes_nothing_and_embeds_the_query_only(bring_up_to_date, embedder, found):
    """A search once embedded 501 texts and wrote 500 rows."""
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    rows = (Document.objects.count(), Embedding.objects.count(), Collection.objects.get().revision)
    embedder.texts.clear()
    found(NOTES, "cheese")
    list(NOTES.find_similar(Note.objects.get()))
    assert embedder.texts == ["cheese"]
    assert rows == (
        Document.objects.count(),
        Embedding.objects.count(),
        Collection.objects.get().revision,
    )


def test_primary_keys_of_every_kind(bring_up_to_date):
    product = Product.objects.create(label="kettle")
    country = Country.objects.create(code="nl:x/ü 1", name="Netherlands")
    bring_up_to_date("ProductIndex", "country")
    assert list(ProductIndex().search("kettle")) == [product]
    assert list(Country.vector_index.search("Netherlands")) == [country]


def test_a_long_primary_key_holds_up_no_other(bring_up_to_date):
    """Databases other than SQLite refuse a text that is longer than its column."""
    countries = [Country(code="x" * 600, name="Netherlands"), Country(code="be", name="Belgium")]
    Country.objects.bulk_create(countries)
    bring_up_to_date("country")
    assert set(Country.vector_index.search("Netherlands or Belgium")) == set(countries)


def test_objects_of_another_database(bring_up_to_date):
    remote = Remote.objects.create(text="far away")
    bring_up_to_date("remote")
    assert list(Remote.vector_index.search("far away")) == [remote]


def test_related_objects_and_callables_are_noticed(bring_up_to_date, found, monkeypatch):
    note = Note.objects.create(text="bread")
    comment = Comment.objects.create(note=note, text="needs salt")
    monkeypatch.setattr(
        Note,
        "embedding_fields",
        [*Note.embedding_fields, type(Note.embedding_fields[0])("comments__text")],
    )
    NOTES.__dict__.pop("configuration", None)
    bring_up_to_date("note")
    assert "needs salt" in live().get().content
    Comment.objects.filter(pk=comment.pk).update(text="needs pepper")
    bring_up_to_date("note")
    assert "needs pepper" in live().get().content
    NOTES.__dict__.pop("configuration", None)


def test_only_live_content_is_embedded(article, bring_up_to_date, embedder):
    article("Draft", "<p>not yet</p>", live=False)
    article("Expired", "<p>no more</p>", expire_at=timezone.now() - timezone.timedelta(hours=1))
    article("Live", "<p>now</p>")
    bring_up_to_date("testapp.ArticlePage")
    assert embedder.texts == ["Live\n\nnow"]


def test_pages_of_several_kinds(root, article, bring_up_to_date):
    article("Bread", "<p>flour</p>")
    root.add_child(instance=EventPage(title="Fair", place="Amsterdam"))
    root.add_child(instance=EventPage(title="Ghost", place="nowhere"))
    bring_up_to_date("SiteIndex")
    results = list(SiteIndex().search("Amsterdam"))
    assert [type(page) for page in results] == [EventPage, ArticlePage]


def test_the_root_of_the_tree_is_never_indexed(root, bring_up_to_date):
    keys = ArticlePage.vector_index.source_keys()
    assert keys == []


def test_an_error_in_one_object_holds_up_no_other(bring_up_to_date, monkeypatch, found):
    Product.objects.create(label="kettle")
    broken = Product.objects.create(label="broken")
    describe = Product.get_description

    def fail(product):
        if product.label == "broken":
            raise RuntimeError("no description")
        return describe(product)

    monkeypatch.setattr(Product, "get_description", fail)
    (updated,) = bring_up_to_date("ProductIndex")
    assert updated.drained.errors == {
        f"testapp.product:{broken.pk}": "RuntimeError: no description"
    }
    assert ProductIndex().search("kettle").count() == 1
    pending = PendingChange.objects.get()
    assert (pending.attempts, pending.last_error) == (1, "RuntimeError: no description")
    monkeypatch.undo()
    bring_up_to_date("ProductIndex")
    assert not PendingChange.objects.exists()
    assert ProductIndex().search("kettle").count() == 2


def test_what_an_interrupted_update_embedded_is_not_embedded_again(bring_up_to_date, embedder):
    for number in range(30):
        Note.objects.create(text=f"note{number}")

    def interrupt(texts):
        if embedder.calls == 2:
            raise KeyboardInterrupt

    embedder.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        bring_up_to_date("note")
    assert len(embedder.texts) == 16
    embedder.before = lambda texts: None
    bring_up_to_date("note")
    assert sorted(embedder.texts) == sorted(f"note{number}" for number in range(30))
    assert live().count() == 30


def test_an_embedding_service_that_is_down_loses_nothing(bring_up_to_date, embedder, found):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    Note.objects.create(text="cheese")

    def down(texts):
        raise EmbeddingUnavailable("the service is down")

    embedder.before = down
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date("note")
    assert PendingChange.objects.get().last_error == "EmbeddingUnavailable: the service is down"
    embedder.before = lambda texts: None
    assert found(NOTES, "bread") == ["bread"]
    bring_up_to_date("note")
    assert found(NOTES, "cheese", limit=1) == ["cheese"]


def test_a_service_that_returns_too_few_vectors_is_not_believed(
    bring_up_to_date, embedder, monkeypatch
):
    Note.objects.create(text="bread")
    Note.objects.create(text="cheese")
    monkeypatch.setattr(type(embedder), "embed", lambda self, texts: [])
    with pytest.raises(InvalidEmbeddings, match="0 vectors for 2 texts"):
        bring_up_to_date("note")
    assert not live().exists()
    assert Collection.objects.get().attempts == 1


def test_an_index_pauses_whatever_a_service_that_is_down_raises(bring_up_to_date, embedder):
    """No object gets a pause of its own, of up to an hour."""

    def down(texts):
        raise ConnectionError("no route to host")

    Note.objects.create(text="bread")
    Note.objects.create(text="cheese")
    embedder.before = down
    with pytest.raises(EmbeddingUnavailable, match="no route to host"):
        bring_up_to_date("note")
    collection = Collection.objects.get()
    assert collection.attempts == 1
    assert "ConnectionError: no route to host" in collection.last_error
    assert not PendingChange.objects.filter(next_attempt__gt=timezone.now()).exists()


def test_a_dry_run_counts_and_writes_nothing(bring_up_to_date, embedder):
    Note.objects.create(text="bread")
    assert pending_keys(NOTES) == [f"testapp.note:{Note.objects.get().pk}"]
    assert not Collection.objects.exists()
    assert not PendingChange.objects.exists()
    assert embedder.calls == 0


def test_nul_and_lone_surrogates_are_cleaned_out(bring_up_to_date, monkeypatch):
    """Not every database can hold them, but a method may well return them."""
    monkeypatch.setattr(Product, "get_description", lambda product: "bread\x00 and \ud800 butter")
    Product.objects.create(label="loaf")
    bring_up_to_date("ProductIndex")
    assert live().get().content == "bread and  butter"


def test_an_error_with_a_text_that_cannot_be_stored_is_kept(bring_up_to_date, monkeypatch):
    def fail(product):
        raise RuntimeError("bread\x00 and \ud800 butter")

    monkeypatch.setattr(Product, "get_description", fail)
    Product.objects.create(label="loaf")
    bring_up_to_date("ProductIndex")
    assert PendingChange.objects.get().last_error == "RuntimeError: bread and  butter"


def test_a_query_of_one_object_that_fails_holds_up_no_other(bring_up_to_date, monkeypatch):
    def describe(product):
        if product.label == "broken":
            raise DataError("value out of range")
        return product.label

    monkeypatch.setattr(Product, "get_description", describe)
    Product.objects.create(label="broken")
    Product.objects.create(label="whole")
    (updated,) = bring_up_to_date("ProductIndex")
    assert live().get().content == "whole"
    # The message of such an error may quote the value.
    assert list(updated.drained.errors.values()) == ["DataError"]


def test_a_service_that_refuses_everything_is_asked_no_more(bring_up_to_date, embedder):
    """As with a wrong key: it is no error of the objects."""
    for number in range(30):
        Note.objects.create(text=f"note{number}")
    asked = []

    def refuse(texts):
        asked.extend(texts)
        raise EmbeddingRefused("wrong key")

    embedder.before = refuse
    with pytest.raises(EmbeddingRefused, match="wrong key"):
        bring_up_to_date("note")
    assert len(asked) == 8 + 1  # a batch, and a word
    embedder.before = lambda texts: None
    bring_up_to_date("note")
    assert live().count() == 30


def test_what_fails_is_tried_once_however_long_the_others_take(bring_up_to_date, embedder):
    for text in ("one", "two", "three", "bread"):
        Note.objects.create(text=text)
    asked = []

    def refuse(texts):
        asked.append(texts)
        # The delays of those before are over by now.
        PendingChange.objects.filter(attempts__gt=0).update(next_attempt=timezone.now())
        if texts not in (["bread"], ["test"]) and len(asked) < 20:
            raise EmbeddingRefused("the text is refused")

    embedder.before = refuse
    (updated,) = bring_up_to_date("note")
    assert asked.count(["one"]) == asked.count(["three"]) == 1
    assert len(updated.drained.errors) == 3
    assert [document.content for document in live()] == ["bread"]


def test_a_text_that_is_refused_holds_up_no_other(bring_up_to_date, embedder):
    Note.objects.create(text="offensive")
    Note.objects.create(text="bread")

    def refuse(texts):
        if "offensive" in texts:
            raise EmbeddingRefused("not accepted")

    embedder.before = refuse
    (updated,) = bring_up_to_date("note")
    assert list(updated.drained.errors.values()) == ["EmbeddingRefused: not accepted"]
    assert live().get().content == "bread"


def test_what_changes_while_another_process_works_on_it_is_written(bring_up_to_date, embedder):
    """That one has read the object already, and takes its row from the outbox."""
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    Note.objects.update(text="cheese")
    collections = [Collection.objects.get()]

    def meanwhile(texts):
        embedder.before = lambda texts: None
        Note.objects.update(text="wine")
        queue(NOTES.name, changed_keys(NOTES, collections, Progress()))

    embedder.before = meanwhile
    bring_up_to_date("note")
    assert live().get().content == "wine"


def test_objects_whose_keys_are_no_longer_possible_go(bring_up_to_date, found):
    """As after the type of a primary key, or the name of a model, has changed."""
    Note.objects.create(text="bread")
    Note.objects.create(text="cheese")
    Note.objects.create(text="wine")
    bring_up_to_date("note")
    live().filter(content="cheese").update(object_key="testapp.note:3f0f8a")
    live().filter(content="wine").update(object_key="testapp.notice:1")
    Note.objects.exclude(text="bread").delete()
    assert found(NOTES, "bread") == ["bread"]
    (updated,) = bring_up_to_date("note")
    assert not updated.drained.errors
    assert live().get().content == "bread"


def test_documents_of_a_hook_may_come_one_by_one(bring_up_to_date, monkeypatch):
    def shout(index, documents):
        return (replace(document, text=document.text.upper()) for document in documents)

    hook(monkeypatch, shout)
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    assert live().get().content == "BREAD"


def test_a_hook_that_returns_text_that_cannot_be_stored_is_told_so(bring_up_to_date, monkeypatch):
    hook(monkeypatch, lambda index, documents: [replace(documents[0], text="bread\x00")])
    Note.objects.create(text="bread")
    (updated,) = bring_up_to_date("note")
    assert "NUL" in updated.drained.errors.popitem()[1]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda document: document.text, "must return instances of PreparedDocument, not of str"),
        (
            lambda document: replace(document, metadata={"weight": float("nan")}),
            "The metadata of a chunk cannot be stored",
        ),
        (
            lambda document: replace(document, metadata={**document.metadata, "stars": "many"}),
            "The metadata field 'stars' of a chunk is wrong",
        ),
    ],
)
def test_a_hook_that_returns_what_is_no_document_is_told_so(
    made, why, bring_up_to_date, monkeypatch
):
    hook(monkeypatch, lambda index, documents: [made(documents[0])])
    Note.objects.create(text="bread")
    (updated,) = bring_up_to_date("note")
    assert why in updated.drained.errors.popitem()[1]


def test_a_document_of_a_hook_belongs_to_its_object(bring_up_to_date, monkeypatch):
    made = PreparedDocument(text="bread", context="", metadata={})
    hook(monkeypatch, lambda index, documents: [made])
    note = Note.objects.create(text="rolls")
    bring_up_to_date("note")
    within = Note.objects.filter(pk=note.pk)
    assert list(Note.vector_index.search("bread", within=within)) == [note]


def test_a_chunk_in_which_a_hook_leaves_no_text_is_not_embedded(
    bring_up_to_date, embedder, monkeypatch
):
    hook(monkeypatch, lambda index, documents: [replace(d, text=" ") for d in documents])
    Note.objects.create(text="private")
    (updated,) = bring_up_to_date("note")
    assert not updated.drained.errors
    assert embedder.texts == []
    assert not live().exists()


def hook(monkeypatch, function):
    """Let a plugin's ``documents_prepared`` be this function."""
    implementation = SimpleNamespace(
        function=function, argnames=("index", "documents"), plugin_name=function.__name__
    )

    def implementations(name):
        return [implementation] if name == "documents_prepared" else []

    monkeypatch.setattr("wagtail_vector_index.plugins.calling._implementations", implementations)


def test_related_objects_are_read_in_few_queries(bring_up_to_date, django_assert_max_num_queries):
    for number in range(30):
        Note.objects.create(text=f"note{number}", author=Author.objects.create(name=f"Ada{number}"))
    bring_up_to_date("note")
    with django_assert_max_num_queries(25):
        bring_up_to_date("note")


@pytest.mark.filterwarnings("ignore:Specific versions")
def test_a_page_that_is_deleted_while_it_is_fetched(article):
    """Wagtail asks for a page twice, and raises KeyError if it is gone by then."""
    kept, gone = article("Bread"), article("Cake")
    deleted = []

    def delete_before(execute, sql, *arguments):
        if not deleted and '"testapp_articlepage"."intro"' in sql:
            deleted.append(gone.pk)
            ArticlePage.objects.get(pk=gone.pk).delete()
        return execute(sql, *arguments)

    keys = [object_key(kept), object_key(gone)]
    with connection.execute_wrapper(delete_before):
        fetched = SiteIndex().fetch(keys)
    assert deleted
    assert list(fetched) == keys[:1]
