"""Wagtail's own search, by meaning."""

from __future__ import annotations

import io

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.template import Context, Template
from django.utils.translation import gettext_lazy
from modelsearch.backends import get_search_backend
from modelsearch.query import MATCH_ALL, MATCH_NONE, Phrase, PlainText
from wagtail.images import get_image_model
from wagtail.models import Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.exceptions import EmbeddingError, InvalidOptions, InvalidQuery
from wagtail_vector_index.models import Document
from wagtail_vector_index.search import base as searching

pytestmark = pytest.mark.django_db

DATABASE = {"BACKEND": "wagtail.search.backends.database"}


@pytest.fixture
def semantic(settings):
    """Configures the backend "semantic"; options are given in small letters."""

    def configure(**options):
        ours = {"BACKEND": "wagtail_vector_index.wagtail_search", "INDEX": "ArticlePage"}
        ours |= {name.upper(): value for name, value in options.items()}
        settings.WAGTAILSEARCH_BACKENDS = {"default": DATABASE, "semantic": ours}
        return get_search_backend("semantic")

    configure()
    return configure


@pytest.fixture
def section(semantic, article, root, bring_up_to_date):
    """Five pages in a section, the first the nearest to "bread", and one outside."""
    section = article("Section")
    for number in range(5):
        title = f"bread{' and more' * number}"
        article(title, parent=section, topic=f"topic{number % 2}", rating=number)
    article("bread elsewhere", topic="topic0")
    bring_up_to_date("ArticlePage")
    return section


def ratings(results):
    return [page.specific.rating for page in results]


def test_a_queryset_is_searched_by_meaning(section):
    inside = Page.objects.live().descendant_of(section)
    assert ratings(inside.search("bread", backend="semantic")) == [0, 1, 2, 3, 4]
    results = ArticlePage.objects.search("bread", backend="semantic")
    assert all(isinstance(page, ArticlePage) for page in results)
    assert results.model is ArticlePage
    assert results.count() == len(results) == 7


def test_any_filter_is_respected(section):
    articles = ArticlePage.objects.descendant_of(section)
    assert ratings(articles.filter(topic="topic1").search("bread", backend="semantic")) == [1, 3]
    few = ArticlePage.objects.filter(pk=OuterRef("pk"), rating__lt=2)
    assert ratings(articles.filter(Exists(few)).search("bread", backend="semantic")) == [0, 1]
    assert ratings(articles.exclude(rating=0)[:2].search("bread", backend="semantic")) == [1, 2]
    assert not articles.none().search("bread", backend="semantic")


@pytest.mark.parametrize("visibility", ["anonymous", "queryset"])
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_an_index_that_overrides_search_is_obeyed(section, semantic, monkeypatch, visibility, mode):
    semantic(visibility=visibility, mode=mode)
    kind = type(ArticlePage.vector_index)

    def search(self, query, **arguments):
        return super(kind, self).search(query, filter=Q(topic="topic1"), **arguments)

    monkeypatch.setattr(kind, "search", search, raising=False)
    inside = ArticlePage.objects.descendant_of(section)
    assert ratings(inside.search("bread", backend="semantic")) == [1, 3]
    by_rating = inside.order_by("-rating").search(
        "bread", backend="semantic", order_by_relevance=False
    )
    assert ratings(by_rating) == [3, 1]


def test_objects_are_those_of_the_queryset(section):
    pages = Page.objects.descendant_of(section).specific()
    for some in pages, pages[:3]:
        assert type(some.search("bread", backend="semantic")[0]) is ArticlePage
    only = ArticlePage.objects.descendant_of(section).defer("topic")
    assert only.search("bread", backend="semantic")[0].get_deferred_fields() == {"topic"}


@pytest.mark.filterwarnings("ignore:Specific versions")
def test_a_page_that_is_deleted_while_it_is_loaded(section):
    """Wagtail asks for a page twice, and raises KeyError if it is gone by then."""
    gone = ArticlePage.objects.get(rating=0)
    deleted = []

    def delete_before(execute, sql, *arguments):
        if not deleted and '"testapp_articlepage"."intro"' in sql:
            deleted.append(gone.pk)
            ArticlePage.objects.get(pk=gone.pk).delete()
        return execute(sql, *arguments)

    pages = Page.objects.descendant_of(section).specific()
    with connection.execute_wrapper(delete_before):
        assert ratings(pages.search("bread", backend="semantic")) == [1, 2, 3, 4]
    assert deleted


def test_a_model_without_search_fields_is_searched(semantic, bring_up_to_date):
    for text in ("bread", "bread and more"):
        Note.objects.create(text=text)
    bring_up_to_date("note")
    backend = semantic(index="note")
    assert [note.text for note in backend.search("bread", Note)] == ["bread", "bread and more"]
    some = Note.objects.filter(text__contains="more")
    assert [note.text for note in backend.search("bread", some)] == ["bread and more"]
    assert not backend.search("", Note)
    assert not backend.search("bread", Note, fields=[])


@pytest.mark.parametrize("query", ["bread", ""])
def test_a_model_that_is_not_in_the_index_is_refused(query, semantic):
    with pytest.raises(InvalidQuery, match=r"Note is not in testapp\.ArticlePage, which contains"):
        semantic().search(query, Note)


def test_ordering(section):
    articles = ArticlePage.objects.descendant_of(section)
    results = articles.search("bread", backend="semantic", order_by="-rating")
    assert ratings(results) == [4, 3, 2, 1, 0]
    assert ratings(results[1:3]) == [3, 2]
    ordered = articles.order_by("rating").search(
        "bread", backend="semantic", order_by_relevance=False
    )
    assert ratings(ordered) == [0, 1, 2, 3, 4]
    few = articles.order_by("rating")[:3]
    assert ratings(few.search("bread", backend="semantic", order_by_relevance=False)) == [0, 1, 2]
    unordered = articles.order_by().search("bread", backend="semantic", order_by_relevance=False)
    assert ratings(unordered) == [4, 3, 2, 1, 0]


def test_one_embedding_however_the_results_are_sliced(section, embedder):
    articles = ArticlePage.objects.descendant_of(section)
    embedder.calls = 0
    results = articles.search("bread", backend="semantic")
    assert embedder.calls == 0
    assert results.count() == 5
    assert ratings(results[1:3]) == [1, 2]
    assert ratings(results[3:][1:]) == [4]
    assert results[0].rating == 0
    assert ratings(results.annotate_score("score")) == [0, 1, 2, 3, 4]
    page = Paginator(results, 2).page(3)
    assert ratings(page.object_list) == [4]
    assert embedder.calls == 1


def test_only_the_objects_of_a_slice_are_loaded(section, django_assert_num_queries):
    results = ArticlePage.objects.search("bread", backend="semantic")
    assert len(results[:4]) == 4
    with django_assert_num_queries(5):  # the pages, whether they may still be seen, the excerpts
        assert len(list(results[4:])) == 3
    with django_assert_num_queries(0):
        assert results.count() == 7


def test_scores(section):
    results = ArticlePage.objects.descendant_of(section).search("bread", backend="semantic")
    scores = [page.score for page in results.annotate_score("score")[:3]]
    assert scores == sorted(scores, reverse=True)
    assert all(isinstance(score, float) for score in scores)
    assert not hasattr(results[0], "score")
    everything = ArticlePage.objects.search(MATCH_ALL, backend="semantic")
    assert everything.annotate_score("score")[0].score is None


@pytest.mark.parametrize("arguments", [{}, {"order_by_relevance": False}])
def test_results_have_the_scores_and_excerpts_of_the_index(section, arguments):
    results = ArticlePage.objects.search("bread", backend="semantic", **arguments)
    by_index = {page.pk: page for page in ArticlePage.vector_index.search("bread", limit=100)}
    assert len(results) == len(by_index)
    for page in results:
        assert page.vector_score == by_index[page.pk].vector_score
        assert page.vector_excerpt == by_index[page.pk].vector_excerpt
    show = Template("{% load wagtail_vector_index_tags %}{% search_excerpt page %}")
    bread = results[list(results).index(ArticlePage.objects.get(title="bread"))]
    assert show.render(Context({"page": bread})) == "<mark>bread</mark>"
    (everything,) = ArticlePage.objects.filter(pk=bread.pk).search(MATCH_ALL, backend="semantic")
    assert (everything.vector_score, everything.vector_excerpt) == (None, "")


def test_limit_and_threshold_bound_the_count(section, semantic):
    semantic(limit=3)
    assert ArticlePage.objects.search("bread", backend="semantic").count() == 3
    semantic(similarity_threshold=0.9)
    assert ratings(ArticlePage.objects.search("bread", backend="semantic")) == [0]


def test_hybrid_mode(full_text, section, semantic):
    semantic(mode="hybrid")
    assert ratings(
        ArticlePage.objects.descendant_of(section).search("bread", backend="semantic")[:1]
    ) == [0]


def test_it_sees_as_an_anonymous_visitor_unless_told_otherwise(section, semantic, article):
    private = ArticlePage.objects.get(rating=0)
    PageViewRestriction.objects.create(page=private, restriction_type="login")
    ArticlePage.objects.filter(rating=1).update(live=False)
    articles = ArticlePage.objects.descendant_of(section)
    article("bread that is not yet embedded", parent=section, rating=99)
    for query in ["bread", MATCH_ALL]:
        results = articles.search(query, backend="semantic", order_by="rating")
        assert {0, 1}.isdisjoint(ratings(results))
    semantic(visibility="queryset")
    assert ratings(articles.search("bread", backend="semantic")) == [0, 1, 2, 3, 4]
    live = articles.live().public()
    assert ratings(live.search("bread", backend="semantic")) == [2, 3, 4]


def test_few_private_pages_among_many_others_are_left_to_the_queryset(
    section, semantic, article, root, monkeypatch, bring_up_to_date
):
    """Also where a search asks which few objects may be found at all."""
    PageViewRestriction.objects.create(page=section, restriction_type="login")
    for number in range(60):
        article("more", parent=root, rating=100 + number)
    monkeypatch.setattr(ArticlePage.vector_index.__class__, "include_private", True)
    bring_up_to_date("ArticlePage")
    semantic(visibility="queryset", limit=5)
    # More objects than a filter names, none of them among the nearest.
    monkeypatch.setattr(searching, "MAX_FILTER_KEYS", 4)
    found = ArticlePage.objects.descendant_of(section).search("more", backend="semantic")
    assert sorted(ratings(found)) == [0, 1, 2, 3, 4]


def test_queries_other_than_text(section):
    articles = ArticlePage.objects.descendant_of(section).order_by("rating")
    assert ratings(articles.search(MATCH_ALL, backend="semantic")) == [0, 1, 2, 3, 4]
    assert not articles.search(MATCH_NONE, backend="semantic")
    assert not articles.search("", backend="semantic")
    assert not articles.search("   ", backend="semantic")
    both = PlainText("bread") & Phrase("and more")
    assert ratings(articles.search(both, backend="semantic")[:1]) == [1]
    for query in [~PlainText("bread"), PlainText("bread") & ~PlainText("more")]:
        with pytest.raises(NotImplementedError, match=r"Remove Not\(\)"):
            articles.search(query, backend="semantic")


@pytest.mark.parametrize("query", [gettext_lazy("bread"), PlainText(gettext_lazy("bread"))])
def test_a_query_may_be_a_lazy_translation(query, section):
    results = ArticlePage.objects.descendant_of(section).search(query, backend="semantic")
    assert ratings(results) == [0, 1, 2, 3, 4]


def test_what_makes_no_sense_is_refused(section, semantic):
    articles = ArticlePage.objects.all()
    with pytest.raises(NotImplementedError, match=r"set that to a backend that finds words"):
        articles.autocomplete("bre", backend="semantic")
    with pytest.raises(NotImplementedError, match="facet"):
        articles.search("bread", backend="semantic").facet("topic")
    with pytest.raises(Exception, match="Leave out 'fields'"):
        articles.search("bread", fields=["title"], backend="semantic")
    with pytest.raises(InvalidQuery, match=r"Image is not in testapp\.ArticlePage, which contains"):
        semantic().search("bread", get_image_model())


# Updating


def test_update_index_updates_the_vector_index(semantic, article, embedder):
    article("bread")
    call_command("update_index", backend_name="semantic", stdout=io.StringIO())
    assert ArticlePage.objects.search("bread", backend="semantic").count() == 1
    calls = embedder.calls
    output = io.StringIO()
    call_command("update_index", backend_name="semantic", stdout=output)
    assert embedder.calls == calls
    assert "Rebuilding index testapp.ArticlePage" in output.getvalue()


def test_update_index_tells_what_cannot_be_embedded(semantic, article, embedder):
    page = article("bread")

    def refuse(texts):
        if "bread" in texts:
            raise EmbeddingError("refused")

    embedder.before = refuse
    with pytest.raises(CommandError, match=f"wagtailcore.page:{page.pk}: .*refused"):
        call_command("update_index", backend_name="semantic", stdout=io.StringIO())


def test_update_index_of_the_schema_only_embeds_nothing(semantic, article, embedder):
    article("bread")
    call_command("update_index", backend_name="semantic", schema_only=True, stdout=io.StringIO())
    assert embedder.calls == 0


def test_saving_embeds_nothing(section, semantic, article, embedder):
    embedder.calls = 0
    page = article("bread to be saved")
    page.title = "bread that was saved"
    page.save()
    semantic().add(page)
    semantic().delete(page)
    page.delete()
    assert embedder.calls == 0


def test_saving_does_not_fail_where_the_options_are_wrong(semantic, article):
    semantic(index="NoSuchIndex", limit="many")
    article("bread")
    assert not Document.objects.exists()


# Options

WRONG = [
    ({"index": "NoSuchIndex"}, "'INDEX': 'NoSuchIndex' is not a vector index. Available: testapp."),
    ({"index": 3}, "'INDEX' must be of type str, not 3"),
    ({"limit": 0}, "limit must be an int of at least 1, not 0"),
    ({"limit": "10"}, "'LIMIT' must be of type int, not '10'"),
    ({"similarity_threshold": 2.0}, "similarity_threshold must be between -1 and 1"),
    ({"visibility": "all"}, "'VISIBILITY' must be one of 'anonymous', 'queryset', not 'all'"),
    ({"mode": "words"}, "'MODE' must be one of 'vector', 'hybrid', not 'words'"),
    ({"indx": "ArticlePage"}, "unknown key 'INDX'. Did you mean 'INDEX'?"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_options_are_told(semantic, options, message):
    backend = semantic(**options)
    with pytest.raises(InvalidOptions) as error:
        backend.check()
    assert message in str(error.value)
    told = [m.msg for m in checks.run_checks(tags=["wagtail_vector_index"]) if message in m.msg]
    assert told == [str(error.value)]


def test_an_index_must_be_named(settings):
    settings.WAGTAILSEARCH_BACKENDS = {
        "semantic": {"BACKEND": "wagtail_vector_index.wagtail_search"}
    }
    with pytest.raises(InvalidOptions, match="'INDEX' is missing"):
        ArticlePage.objects.search("bread", backend="semantic")


def test_as_the_default_it_would_break_the_admin(semantic, settings):
    backends = settings.WAGTAILSEARCH_BACKENDS
    settings.WAGTAILSEARCH_BACKENDS = {"default": backends["semantic"], "words": DATABASE}
    (warning,) = checks.run_checks(tags=["wagtail_vector_index"])
    assert warning.id == "wagtail_vector_index.W016"
    assert warning.hint.startswith('Give it another name, such as "semantic"')


def test_right_options_pass_the_check(semantic):
    semantic(limit=5, similarity_threshold=0, visibility="queryset", mode="hybrid")
    assert not checks.run_checks(tags=["wagtail_vector_index"])
