"""What a visitor finds."""

from __future__ import annotations

import datetime
import sys

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Q, Window
from django.db.models.functions import RowNumber
from django.test import RequestFactory
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from wagtail.models import Locale, Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Author, EventPage, Note, NoteProxy, Notice, PinnedNote
from tests.testapp.vector_indexes import SiteIndex
from wagtail_vector_index.exceptions import IndexOutdated, InvalidFilter, InvalidQuery
from wagtail_vector_index.indexes import PageVectorIndex, VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Document
from wagtail_vector_index.search import base as searching

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
ARTICLES = ArticlePage.vector_index


@pytest.fixture
def notes(bring_up_to_date):
    for number in range(30):
        Note.objects.create(text=f"bread number{number}", stars=number % 5)
    bring_up_to_date("note")


def test_results_carry_score_and_excerpt(article, bring_up_to_date):
    article("Bread", "<p>Mix <b>flour</b> and water.</p><p>Bake.</p>")
    bring_up_to_date("ArticlePage")
    (page,) = ARTICLES.search("flour water")
    assert 0 < page.vector_score <= 1
    assert page.vector_excerpt == "Mix flour and water.\n\nBake."
    assert isinstance(page, ArticlePage)


def test_an_object_comes_once_ranked_by_its_best_chunk(bring_up_to_date, found):
    """``search(limit=10)`` once returned 3 to 6 objects, since duplicates went after the limit."""
    filler = ". ".join(f"bread bread bread number{n}" for n in range(200))
    for _ in range(3):
        Note.objects.create(text=filler)
    for number in range(12):
        Note.objects.create(text=f"bread and something{number}")
    bring_up_to_date("note")
    results = list(NOTES.search("bread bread bread", limit=10))
    assert len({note.pk for note in results}) == len(results) == 10
    scores = [note.vector_score for note in results]
    assert scores == sorted(scores, reverse=True)


def test_results_are_lazy(notes, embedder):
    embedder.calls = 0
    results = NOTES.search("bread")
    assert embedder.calls == 0
    assert "not yet run" in repr(results)
    assert len(results) == results.count() == 10
    list(results)
    list(results[2:4])
    assert embedder.calls == 1
    assert "testapp.note:" in repr(results)


def test_slices(notes):
    everything = list(NOTES.search("bread", limit=20))
    results = NOTES.search("bread", limit=20)
    assert list(results[:3]) == everything[:3]
    assert list(results[5:][2:4]) == everything[7:9]
    assert results[4] == everything[4]
    assert results[-1] == everything[-1]
    assert list(results[15:99]) == everything[15:]
    assert not results[20:]
    assert all(note.vector_excerpt for note in results[:3])


def test_paginator(notes, django_assert_max_num_queries):
    paginator = Paginator(NOTES.search("bread", limit=25), 10)
    assert paginator.count == 25
    assert [len(paginator.page(number).object_list) for number in (1, 2, 3)] == [10, 10, 5]
    pks = [note.pk for page in paginator for note in page]
    assert len(set(pks)) == 25


def test_a_search_takes_few_queries(notes, django_assert_max_num_queries):
    list(NOTES.search("bread"))
    with django_assert_max_num_queries(5):
        list(NOTES.search("bread"))


def test_fewer_objects_than_the_limit(bring_up_to_date, found):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    assert found(NOTES, "bread", limit=50) == ["bread"]


def test_blank_queries_find_nothing(notes, embedder):
    embedder.calls = 0
    for query in ("", "  \n", "\x00"):
        assert list(NOTES.search(query)) == []
    assert embedder.calls == 0


def test_a_query_may_be_a_lazy_translation(notes, found):
    assert found(NOTES, gettext_lazy("bread")) == found(NOTES, "bread")


@pytest.mark.parametrize("query", ['"', "'; --", "\x00bread", "bread " * 10_000, "\ud800", "%_"])
def test_odd_queries_never_raise(notes, query):
    NOTES.search(query).count()


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, None, "3"])
def test_a_wrong_limit_is_said_at_once(limit):
    with pytest.raises(InvalidQuery, match="limit"):
        NOTES.search("bread", limit=limit)


@pytest.mark.parametrize("threshold", [1.1, -1.1, float("nan"), "high", True])
def test_a_threshold_out_of_range_is_said_at_once(threshold):
    with pytest.raises(InvalidQuery, match="similarity_threshold"):
        NOTES.search("bread", similarity_threshold=threshold)


def test_the_threshold_is_on_the_scale_of_the_score(notes):
    results = list(NOTES.search("bread number3", limit=30))
    middle = results[4].vector_score
    kept = list(NOTES.search("bread number3", limit=30, similarity_threshold=middle))
    assert [note.pk for note in kept] == [n.pk for n in results if n.vector_score >= middle]


def test_without_a_threshold_nothing_is_left_out(bring_up_to_date, found, embedder, monkeypatch):
    """A default of 0.0 once dropped matches with a negative similarity."""
    monkeypatch.setattr(
        type(embedder), "_vector", lambda self, text: [-1.0 if text == "bread" else 1.0] * 64
    )
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    (note,) = NOTES.search("cheese")
    assert note.vector_score == pytest.approx(-1.0)


def test_filters(notes):
    results = NOTES.search("bread", filter=Q(stars__gte=3) & ~Q(stars=4), limit=30)
    assert {note.stars for note in results} == {3}
    assert results.count() == 6


def test_a_wrong_filter_is_said_at_once():
    with pytest.raises(InvalidFilter, match="Did you mean 'stars'"):
        NOTES.search("bread", filter=Q(star=3))


@pytest.mark.parametrize("filter", [{"stars": 3}, "stars", [Q(stars=3)]])
def test_a_filter_that_is_no_q_is_said_at_once(filter):
    with pytest.raises(InvalidFilter, match=r"A filter is made of Q\(field=value\)"):
        NOTES.search("bread", filter=filter)


def test_a_filter_nested_too_deeply_is_said_at_once():
    filter = Q(stars=3)
    for number in range(sys.getrecursionlimit()):
        filter = ~(filter | Q(stars=number))
    with pytest.raises(InvalidFilter, match="nested too deeply"):
        NOTES.search("bread", filter=filter)


@pytest.mark.parametrize("instance", [None, 1, "testapp.note:1", Note, [Note()]])
def test_similar_to_something_else_is_said_at_once(instance):
    with pytest.raises(InvalidQuery, match="needs a model instance, not"):
        NOTES.find_similar(instance)


def test_filters_take_what_the_model_holds(article, bring_up_to_date, root):
    moment = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    page = article("Bread", "<p>x</p>", published=moment, rating=4)
    page.tags.add("food", "slow")
    page.save()
    article("Bikes", "<p>x</p>")
    bring_up_to_date("ArticlePage")

    def titles(filter):
        return {found.title for found in ARTICLES.search("x", filter=filter)}

    assert titles(Q(locale="en")) == {"Bread", "Bikes"}
    assert titles(Q(locale=Locale.objects.get())) == {"Bread", "Bikes"}
    assert titles(Q(tags__contains="slow")) == {"Bread"}
    assert titles(Q(published__lt=datetime.date(2024, 6, 1))) == {"Bread"}
    assert titles(Q(rating__isnull=True)) == {"Bikes"}
    assert titles(~Q(rating=4)) == {"Bikes"}


def test_filters_by_a_related_value(bring_up_to_date):
    author = Author.objects.create(name="Ada")
    Note.objects.create(text="bread", author=author)
    Note.objects.create(text="cheese")
    bring_up_to_date("note")
    assert [note.text for note in NOTES.search("x", filter=Q(author="Ada"))] == ["bread"]


def test_within_a_queryset(notes, found):
    few = Note.objects.filter(stars=2)
    assert {note.stars for note in NOTES.search("bread", within=few, limit=30)} == {2}
    assert NOTES.search("bread", within=few, limit=30).count() == few.count()
    assert found(NOTES, "bread", within=Note.objects.none()) == []


def test_within_any_queryset(notes):
    few = Note.objects.filter(stars=2)
    for within in (
        few.order_by("pk")[:3],
        few.union(Note.objects.filter(stars=3)),
        few.values("text"),
        few.distinct(),
    ):
        expected = {note["pk"] for note in within.values("pk")}
        found = {note.pk for note in NOTES.search("bread", within=within, limit=30)}
        assert found == expected
    assert NOTES.search("bread", within=Note.objects, limit=50).count() == Note.objects.count()


@pytest.mark.parametrize("by", ["a window function", "DISTINCT ON", "a slice"])
@pytest.mark.parametrize("most_keys", [1_000, 3])
def test_within_a_queryset_that_chooses_among_its_rows(notes, monkeypatch, by, most_keys):
    """A filter on it, such as for what a search has found, would make it choose others."""
    monkeypatch.setattr(searching, "MAX_FILTER_KEYS", most_keys)
    if by == "DISTINCT ON":
        if not connection.features.can_distinct_on_fields:
            pytest.skip("this database has no DISTINCT ON")
        newest = Note.objects.order_by("stars", "-pk").distinct("stars")
    elif by == "a window function":
        rank = Window(RowNumber(), partition_by=["stars"], order_by="-pk")
        newest = Note.objects.annotate(rank=rank).filter(rank=1)
    else:
        newest = Note.objects.order_by("-pk")[:5]
    expected = {f"bread number{number}" for number in range(25, 30)}
    for query, limit in ("number3", 1), ("number3", 50), ("bread", 5):
        found = {note.text for note in NOTES.search(query, within=newest, limit=limit)}
        assert found <= expected
        assert len(found) == min(limit, 5)


@pytest.mark.parametrize(
    ("index", "within", "message"),
    [
        (NOTES, Author.objects, "queryset of testapp.Note, which testapp.Note contains, not of"),
        (NOTES, Page.objects.all()[:3], "not of wagtailcore.Page"),
        (ARTICLES, EventPage.objects.none(), "not of testapp.EventPage"),
        (ARTICLES, User.objects.all(), "not of auth.User. To filter by a related object"),
    ],
)
def test_within_a_foreign_model_is_said_at_once(index, within, message):
    for search in (index.search, lambda query, **more: index.find_similar(Note(pk=1), **more)):
        with pytest.raises(InvalidQuery, match=message):
            search("bread", within=within)


@pytest.mark.parametrize("within", [PinnedNote.objects, NoteProxy.objects, Note.objects])
def test_within_a_parent_a_child_or_a_proxy(within):
    NOTES.search("bread", within=within)


@pytest.mark.parametrize("user", ["x", 5, User, {"pk": 5}, Note(text="x")])
def test_somebody_who_is_no_user_is_said_at_once(user):
    with pytest.raises(InvalidQuery, match=r"user must be a user, such as request\.user, not"):
        NOTES.search("bread", user=user)


@pytest.mark.parametrize("request_", ["/search/", User(username="reader"), 5])
def test_a_request_that_is_none_is_said_at_once(request_):
    with pytest.raises(InvalidQuery, match="request must be the visitor's request, not"):
        NOTES.search("bread", request=request_)


def test_a_lazy_user_is_not_loaded_by_the_call():
    def load():
        raise AssertionError("loaded")

    NOTES.search("bread", user=SimpleLazyObject(load), request=RequestFactory().get("/"))


@pytest.mark.parametrize("filter", ["x", {"stars": 1}, 5, [Q(stars=1)]])
def test_a_filter_that_is_none_is_said_at_once(filter):
    with pytest.raises(InvalidFilter, match="Q"):
        NOTES.search("bread", filter=filter)


@pytest.mark.parametrize("within", [[], "section", Note])
def test_within_something_else_is_said_at_once(within):
    with pytest.raises(InvalidQuery, match="within must be a queryset"):
        NOTES.search("bread", within=within)


def test_within_a_large_queryset_still_reaches_the_limit(bring_up_to_date, monkeypatch):
    monkeypatch.setattr("wagtail_vector_index.search.base.MAX_FILTER_KEYS", 5)
    for number in range(100):
        Note.objects.create(text="bread" if number < 90 else "far away", stars=number)
    bring_up_to_date("note")
    far = Note.objects.filter(stars__gte=90)
    assert NOTES.search("bread", within=far, limit=10).count() == 10


def test_within_a_section_of_the_tree(root, article, bring_up_to_date):
    section = article("Section", "<p>bread</p>")
    inside = article("Inside", "<p>bread</p>", parent=section)
    article("Outside", "<p>bread</p>")
    bring_up_to_date("ArticlePage")
    within = Page.objects.descendant_of(section)
    assert list(ARTICLES.search("bread", within=within)) == [inside]


def test_a_large_collection_of_hidden_objects_hides_no_other(bring_up_to_date, found):
    """There are ``limit`` results whenever that many exist."""
    for _ in range(60):
        Note.objects.create(text="bread")
    for number in range(5):
        Note.objects.create(text=f"far away{number}")
    bring_up_to_date("note")
    Note.objects.filter(text="bread").delete()
    assert len(found(NOTES, "bread", limit=5)) == 5


def test_matches_that_an_approximate_backend_overlooked_at_first(
    server, bring_up_to_date, found, monkeypatch
):
    Note.objects.create(text="bread")
    for _ in range(6):
        Note.objects.create(text="bread cheese")
    for number in range(3):
        Note.objects.create(text=f"far away{number}")
    bring_up_to_date("note")
    Note.objects.filter(text="bread cheese").delete()
    search = type(server)._search

    def approximate(self, spec, vector, limit, filter, min_score):
        """Overlooks the nearest until it is asked for more."""
        matches = search(self, spec, vector, limit + 1, filter, min_score)
        return matches[1:] if limit < 10 else matches[:limit]

    monkeypatch.setattr(type(server), "_search", approximate)
    # Among few, a backend would look exactly.
    monkeypatch.setattr(searching, "MAX_FILTER_KEYS", 0)
    assert found(NOTES, "bread", limit=3)[0] == "bread"


def test_an_unpublished_page_is_no_longer_found(article, bring_up_to_date):
    page = article("Bread", "<p>flour</p>")
    bring_up_to_date("ArticlePage")
    page.unpublish()
    assert list(ARTICLES.search("flour")) == []


def test_an_expired_page_is_no_longer_found(article, bring_up_to_date):
    page = article("Bread", "<p>flour</p>")
    bring_up_to_date("ArticlePage")
    ArticlePage.objects.filter(pk=page.pk).update(expire_at=timezone.now())
    assert list(ARTICLES.search("flour")) == []


@pytest.mark.parametrize("kind", ["password", "login", "groups"])
def test_private_pages_are_neither_embedded_nor_found(article, bring_up_to_date, embedder, kind):
    """They and their children were once indexed, found, and sent to the language model."""
    section = article("Section", "<p>secret</p>")
    article("Child", "<p>secret too</p>", parent=section)
    article("Open", "<p>for all</p>")
    restriction = PageViewRestriction.objects.create(page=section, restriction_type=kind)
    bring_up_to_date("ArticlePage")
    assert embedder.texts == ["Open\n\nfor all"]
    restriction.delete()
    bring_up_to_date("ArticlePage")
    assert ARTICLES.search("secret").count() == 3
    PageViewRestriction.objects.create(page=section, restriction_type=kind)
    assert [page.title for page in ARTICLES.search("secret")] == ["Open"]


def test_an_alias_is_as_private_as_its_source(root, article, bring_up_to_date):
    source = article("Source", "<p>secret</p>")
    article("Child of source", "<p>secret</p>", parent=source)
    section = article("Section", "<p>open</p>")
    source.create_alias(parent=section, update_slug="alias", recursive=True)
    PageViewRestriction.objects.create(page=source, restriction_type="login")
    keys = set(ARTICLES.source_keys())
    rule = {
        f"wagtailcore.page:{page.pk}"
        for page in ArticlePage.objects.live()
        if not page.get_view_restrictions().exists()
    }
    assert keys == rule == {f"wagtailcore.page:{section.pk}"}


def test_the_nearest_by_example(article, bring_up_to_date, embedder):
    bread = article("Bread", "<p>flour and water and salt</p>")
    pizza = article("Pizza", "<p>flour and water and cheese</p>")
    article("Bikes", "<p>wheels</p>")
    bring_up_to_date("ArticlePage")
    embedder.calls = 0
    documents = Document.objects.count()
    for _ in range(2):
        results = list(ARTICLES.find_similar(bread, limit=2))
        assert results[0] == pizza
        assert bread not in results
        assert len(results) == 2
    assert embedder.calls == 0
    assert Document.objects.count() == documents


def test_an_object_that_is_not_indexed_has_no_similar_ones(notes):
    assert list(NOTES.find_similar(Note.objects.create(text="new"))) == []


def test_similar_to_what_is_loaded_lazily(notes):
    """Such as ``request.user``."""
    note = Note.objects.first()
    similar = NOTES.find_similar(SimpleLazyObject(lambda: note))
    assert list(similar) == list(NOTES.find_similar(note))
    assert similar


def test_similar_ones_can_be_filtered(notes):
    note = Note.objects.filter(stars=1).first()
    similar = NOTES.find_similar(note, filter=Q(stars=1), limit=30)
    assert {n.stars for n in similar} == {1}
    assert similar.count() == Note.objects.filter(stars=1).count() - 1
    few = Note.objects.filter(stars=2)
    assert NOTES.find_similar(note, within=few, limit=30).count() == few.count()


def test_a_child_by_inheritance_is_one_object_with_its_parent(bring_up_to_date):
    pinned = PinnedNote.objects.create(text="bread", reason="important")
    Note.objects.create(text="cheese")
    bring_up_to_date("testapp.Note", "PinnedNote")
    assert list(PinnedNote.vector_index.search("important")) == [pinned]
    assert NOTES.search("bread").count() == 2


def test_a_proxy_shares_its_models_index(notes):
    assert NoteProxy.vector_index is NOTES
    proxy = NoteProxy.objects.first()
    assert NOTES.find_similar(proxy).count() == 10
    assert NOTES.search("bread", within=NoteProxy.objects.filter(stars=1)).count() == 6


def test_translated_objects_are_told_apart_by_their_locale(root, bring_up_to_date):
    dutch = Locale.objects.create(language_code="nl")
    english = Notice.objects.create(
        text="fire drill", locale=Locale.objects.get(language_code="en")
    )
    translation = english.copy_for_translation(dutch)
    translation.text = "fire drill brandoefening"
    translation.save()
    Notice.objects.create(text="fire draft", locale=dutch, live=False)
    bring_up_to_date("Notice")
    results = Notice.vector_index.search("fire", filter=Q(locale="nl"))
    assert list(results) == [translation]


def test_several_kinds_of_page_in_one_index(root, article, bring_up_to_date):
    article("Bread", "<p>x</p>")
    fair = root.add_child(instance=EventPage(title="Fair", place="Amsterdam"))
    bring_up_to_date("SiteIndex")
    assert list(SiteIndex().search("Amsterdam", limit=1)) == [fair]


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_twins_agree(bring_up_to_date):
    for number in range(5):
        Note.objects.create(text=f"bread number{number}", stars=number)
    update(NOTES)

    async def both():
        found = await NOTES.asearch("bread number3", limit=3, filter=Q(stars__gt=0))
        listed = [note.pk async for note in NOTES.search("bread number3", limit=3)]
        similar = await NOTES.afind_similar(await Note.objects.afirst(), limit=2)
        return [note.pk for note in found], listed, [note.pk for note in similar]

    found, listed, similar = async_to_sync(both)()
    assert found == [n.pk for n in NOTES.search("bread number3", limit=3, filter=Q(stars__gt=0))]
    assert listed == [n.pk for n in NOTES.search("bread number3", limit=3)]
    assert similar == [n.pk for n in NOTES.find_similar(Note.objects.first(), limit=2)]


@pytest.mark.django_db(transaction=True)
def test_awaited_results_need_no_database(bring_up_to_date):
    """Django refuses it to the event loop's own thread."""
    for number in range(5):
        Note.objects.create(text=f"bread number{number}", stars=number % 2)
    update(NOTES)

    async def use():
        results = await NOTES.asearch("bread", limit=5)
        notes = list(results)
        assert list(results[1:3]) == notes[1:3]
        assert list(results[1:][::-2]) == notes[4:0:-2]
        assert [list(page) for page in Paginator(results, 2)] == [notes[:2], notes[2:4], notes[4:]]
        scored = results.annotate_score("nearness")[:2]
        assert [note.nearness for note in scored] == [note.vector_score for note in notes[:2]]
        return await results.afacet("stars")

    assert async_to_sync(use)() == {0: 3, 1: 2}


@pytest.mark.django_db(transaction=True)
def test_asynchronous_searches_may_ask_the_database_for_their_arguments(monkeypatch):
    """Django refuses its database to the event loop's own thread."""
    notes = [Note.objects.create(text=f"bread number{number}") for number in range(3)]
    update(NOTES)
    content = type(NOTES).get_querysets
    monkeypatch.setattr(
        type(NOTES), "get_querysets", lambda index: content(index) if Note.objects.count() else []
    )
    arguments = {
        "within": Note.objects.exclude(pk=notes[2].pk),
        "filter": Q(stars__in=Note.objects.values_list("stars", flat=True)),
    }

    async def both():
        found = await NOTES.asearch("bread", **arguments)
        similar = await NOTES.afind_similar(notes[0], **arguments)
        return list(found), list(similar)

    found, similar = async_to_sync(both)()
    assert set(found) == {notes[0], notes[1]}
    assert similar == [notes[1]]


class PlainIndex(VectorIndex):
    """Pages in an index that is not made for them, together with another model."""

    name = "plain"
    querysets = [ArticlePage.objects.all(), Note.objects.all()]


class MixedIndex(PageVectorIndex):
    name = "mixed"
    querysets = [ArticlePage.objects.all(), Note.objects.all()]


@pytest.mark.parametrize("index", [PlainIndex(), MixedIndex()])
def test_private_pages_are_private_in_every_kind_of_index(root, article, index, monkeypatch):
    for filters in ((ArticlePage, "vector_filter_fields"), (Note, "vector_filter_fields")):
        monkeypatch.setattr(*filters, [])
    section = article("Section", "<p>bread</p>")
    article("Child", "<p>bread</p>", parent=section)
    article("Open", "<p>bread</p>")
    Note.objects.create(text="bread")
    PageViewRestriction.objects.create(page=section, restriction_type="login")
    update(index)
    assert {str(found) for found in index.search("bread")} == {"Open", "bread"}


def test_objects_that_a_queryset_repeats_are_asked_for_once():
    """Querysets repeat objects, for instance if they filter by tags without ``distinct()``."""
    assert searching.of_objects(["note:1", "note:2", "note:1"]).value == ("note:1", "note:2")


def test_facets_count_what_was_found(article, bring_up_to_date, django_assert_num_queries):
    moment = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
    for number in range(6):
        page = article(f"Bread {number}", "<p>bread</p>", topic="rye" if number else "", rating=2)
        page.tags.add("baking", *(["rye"] if number > 3 else []))
        page.published = moment if number == 1 else None
        page.save()
    article("Trams", "<p>line two</p>", topic="trams")
    bring_up_to_date("ArticlePage")
    results = ARTICLES.search("bread", limit=6)
    assert len(results) == 6
    with django_assert_num_queries(2):
        assert list(results.facet("tags").items()) == [("baking", 6), ("rye", 2)]
    assert results.facet("rating") == {2: 6}
    assert results.facet("published") == {moment: 1}
    assert results.facet("topic")["rye"] == 5
    assert results[:3].facet("locale") == {"en": 3}
    assert ARTICLES.search(" ").facet("tags") == {}
    with pytest.raises(
        InvalidQuery, match=r"no filter field 'tag'. Did you mean 'tags'\? It has: "
    ):
        results.facet("tag")


def test_a_facet_of_a_field_that_was_declared_after_the_build_is_told(article, monkeypatch):
    class Articles(PageVectorIndex):
        name = ARTICLES.name
        querysets = [ArticlePage.objects.all()]

    article("Bread", "<p>bread</p>")
    monkeypatch.setattr(ArticlePage, "vector_filter_fields", ["locale"])
    update(Articles())
    monkeypatch.setattr(ArticlePage, "vector_filter_fields", ["locale", "slug"])
    results = Articles().search("bread")
    with pytest.raises(IndexOutdated, match=r"without 'slug'\. Run: manage\.py update_vector_ind"):
        results.facet("slug")
    assert results.facet("locale") == {"en": 1}


def test_the_score_can_have_another_name(notes):
    results = NOTES.search("bread", limit=3).annotate_score("nearness")
    assert [note.nearness for note in results] == [note.vector_score for note in results]
    assert [note.nearness for note in results[1:]] == [note.nearness for note in results][1:]
    assert not hasattr(NOTES.search("bread")[0], "nearness")
