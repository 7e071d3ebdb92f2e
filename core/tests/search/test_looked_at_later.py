"""Results that are loaded some time after their search."""

from __future__ import annotations

import datetime as dt

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, User
from django.core.paginator import Paginator
from django.utils import timezone
from modelsearch.backends import get_search_backend
from modelsearch.query import MATCH_ALL
from wagtail.documents.models import Document as WagtailDocument
from wagtail.models import Collection, CollectionViewRestriction, Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.admin import chunks as admin_chunks
from wagtail_vector_index.answering import sources as answering
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import EmbeddingField
from wagtail_vector_index.search import base

pytestmark = pytest.mark.django_db

ARTICLES = ArticlePage.vector_index


class PrivateIndex(VectorIndex):
    """Articles, whoever may see them."""

    name = "private"
    querysets = [ArticlePage.objects.all()]
    include_private = True


class ChunkIndex(PrivateIndex):
    """The same, in short chunks."""

    name = "chunks"
    chunk_tokens = 20


class FileIndex(VectorIndex):
    """Documents of Wagtail's, by their titles."""

    name = "files"
    querysets = [WagtailDocument.objects.all()]
    embedding_fields = [EmbeddingField("title")]


CHUNKS = ChunkIndex()


def unpublish(page):
    page.unpublish()


def delete(page):
    page.delete()


def expire(page):
    past = timezone.now() - dt.timedelta(seconds=1)
    Page.objects.filter(pk=page.pk).update(expire_at=past)


def restrict(page):
    PageViewRestriction.objects.create(page=page, restriction_type="login")


def restrict_the_section(page):
    restrict(page.get_parent())


def move_into_a_private_section(page):
    private = Page.objects.get(slug="home").add_child(instance=Page(title="Private"))
    restrict(private)
    page.move(private, pos="last-child")


HIDING = [unpublish, delete, expire, restrict, restrict_the_section, move_into_a_private_section]


@pytest.fixture
def pages(article, bring_up_to_date):
    """A page that a test hides, which is the nearest to "bread", and three others."""
    section = article("tools")
    hidden = article("bread", parent=section)
    others = [article(f"bread{' and more' * number}") for number in (1, 2, 3)]
    bring_up_to_date("testapp.ArticlePage")
    return [hidden, *others]


@pytest.mark.parametrize("hide", HIDING)
@pytest.mark.parametrize(
    "look",
    [
        list,
        lambda results: list(results[:4]),
        lambda results: list(results[0:3][:2]),
        lambda results: [results[0]],
        lambda results: list(reversed(results)),
        lambda results: list(Paginator(results, 3).page(1)),
        lambda results: async_to_sync(results.aload)(),
    ],
    ids=["all", "slice", "slice of a slice", "index", "reversed", "page", "async"],
)
def test_nothing_is_shown_that_was_hidden_since_it_was_counted(pages, hide, look):
    results = ARTICLES.search("bread", limit=5)
    assert len(results) == 5
    hide(pages[0])
    shown = list(look(results))
    assert shown
    assert pages[0] not in shown
    assert None not in shown
    assert all(page.vector_excerpt for page in shown)
    assert results.count() == 5


@pytest.mark.parametrize("hide", HIDING)
def test_a_search_for_similar_pages_hides_them_too(pages, hide):
    results = ARTICLES.find_similar(pages[1])
    assert results.count() == 4
    hide(pages[0])
    assert pages[0] not in list(results)


def test_hybrid_results_hide_them_too(full_text, pages):
    results = ARTICLES.search("bread", mode="hybrid")
    assert results.count() == 5
    restrict(pages[0])
    assert pages[0] not in list(results)


def test_who_may_see_a_restricted_page_still_does(pages):
    update(PrivateIndex())
    results = PrivateIndex().search("bread", user=User.objects.create(username="a reader"))
    assert results.count() == 5
    restrict(pages[0])
    assert pages[0] in list(results)


def test_who_left_a_group_sees_no_page_of_the_group(pages):
    group = Group.objects.create(name="Bakers")
    reader = User.objects.create(username="a reader")
    reader.groups.add(group)
    restriction = PageViewRestriction.objects.create(page=pages[0], restriction_type="groups")
    restriction.groups.add(group)
    update(PrivateIndex())
    results = PrivateIndex().search("bread", user=reader)
    assert results.count() == 5
    assert pages[0] in list(results[:2])
    reader.groups.clear()
    assert pages[0] not in list(results[:3])


def test_what_left_the_queryset_is_not_shown(pages):
    results = ARTICLES.search("bread", within=ArticlePage.objects.filter(topic=""))
    assert results.count() == 5
    ArticlePage.objects.filter(pk=pages[0].pk).update(topic="tools")
    assert pages[0] not in list(results)


def test_a_document_of_a_collection_that_became_private_is_not_shown(root):
    parent = Collection.add_root(name="Root")
    collection = parent.add_child(name="Recipes")
    bread = WagtailDocument.objects.create(title="bread", collection=collection)
    cake = WagtailDocument.objects.create(title="cake", collection=parent)
    update(FileIndex())
    results = FileIndex().search("bread")
    assert results.count() == 2
    CollectionViewRestriction.objects.create(collection=collection, restriction_type="login")
    assert list(results) == [cake]
    assert bread not in results


def test_objects_are_as_they_are_when_they_are_looked_at(pages, monkeypatch):
    """A first attempt to load them failed."""
    results = ARTICLES.search("bread")
    with monkeypatch.context() as patched:
        patched.delattr(base, "live_chunks")
        with pytest.raises(NameError):
            list(results)
    assert results.count() == 5
    Page.objects.update(title="edited")
    assert {page.title for page in results} == {"edited"}


def test_what_is_deleted_between_two_rounds_of_a_search_is_not_shown(article, monkeypatch):
    """The vector backend is asked for more matches if they are chunks of too few objects."""
    monkeypatch.setattr(base, "_LEAST_MATCHES", 1)
    article("long", "".join(f"<p>bread {number} bread</p>" for number in range(40)))
    others = [article(f"bread and flour {number}") for number in (1, 2)]
    update(CHUNKS)
    backend, rounds = vector_backends["default"], []
    search_once = type(backend).search

    def search(*arguments, **options):
        rounds.append(options["limit"])
        if len(rounds) == 2:
            ArticlePage.objects.get(title="long").delete()
        return search_once(backend, *arguments, **options)

    monkeypatch.setattr(backend, "search", search)
    assert set(CHUNKS.search("bread", limit=3)) == set(others)
    assert len(rounds) == 2


def test_looking_again_takes_few_queries(pages, django_assert_max_num_queries):
    results = ARTICLES.search("bread")
    assert results.count() == 5
    with django_assert_max_num_queries(6):
        list(results)


def test_an_answer_has_no_source_that_was_hidden_meanwhile(pages, settings, monkeypatch):
    settings.WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.chat.ScriptedChat"}
    }
    scored = answering.chunk_scores

    def slowly(*arguments):
        restrict(pages[0])
        return scored(*arguments)

    monkeypatch.setattr(answering, "chunk_scores", slowly)
    answer = ARTICLES.query("bread", limit=3)
    assert [source.object for source in answer.sources] == pages[1:3]


def test_the_admin_shows_no_chunk_of_a_page_that_was_hidden_meanwhile(pages, rf, monkeypatch):
    scored = admin_chunks.chunk_scores

    def slowly(*arguments):
        pages[0].unpublish()
        return scored(*arguments)

    monkeypatch.setattr(admin_chunks, "chunk_scores", slowly)
    request = rf.get("/")
    request.user = User.objects.create(username="editor")
    found = admin_chunks.objects_found(ARTICLES, "bread", request)
    assert [one.source for one in found][:3] == pages[1:]


class TestWagtailsSearch:
    @pytest.fixture(autouse=True)
    def _configured(self, settings, pages):
        settings.WAGTAILSEARCH_BACKENDS = {
            "default": {"BACKEND": "wagtail.search.backends.database"},
            "semantic": self.backend(),
            "everything": self.backend(VISIBILITY="queryset"),
        }

    def backend(self, **options):
        index = {"BACKEND": "wagtail_vector_index.wagtail_search", "INDEX": "testapp.ArticlePage"}
        return index | options

    @pytest.mark.parametrize("query", ["bread", MATCH_ALL])
    @pytest.mark.parametrize("hide", HIDING)
    def test_hides_what_was_hidden_since_it_was_counted(self, pages, hide, query):
        results = get_search_backend("semantic").search(query, ArticlePage.objects.all())
        assert results.count() == 5
        hide(pages[0])
        assert pages[0] not in list(results[:5])
        assert pages[0] not in list(results)
        assert len(list(results)) >= 3

    def test_shows_the_whole_queryset_if_told_to(self, pages):
        results = get_search_backend("everything").search("bread", ArticlePage.objects.all())
        assert results.count() == 5
        restrict(pages[0])
        assert pages[0] in list(results[:3])
        pages[0].delete()
        assert len(list(results[:5])) == 4


def test_objects_that_cannot_be_restricted_are_shown_as_before(bring_up_to_date):
    notes = [Note.objects.create(text=text) for text in ("bread", "cheese")]
    bring_up_to_date("note")
    results = Note.vector_index.search("bread")
    assert results.count() == 2
    notes[0].delete()
    assert list(results) == [notes[1]]
