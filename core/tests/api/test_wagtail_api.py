"""Searches by meaning through Wagtail's API."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import path
from django.utils.translation import get_language
from wagtail.api.v2.filters import SearchFilter
from wagtail.api.v2.router import WagtailAPIRouter
from wagtail.api.v2.views import PagesAPIViewSet
from wagtail.models import Locale, PageViewRestriction

from tests.testapp.models import ArticlePage, EventPage
from tests.urls import urlpatterns as site_patterns
from wagtail_vector_index.api import VectorSearchFilter
from wagtail_vector_index.exceptions import BackendUnavailable, InvalidIndex, InvalidQuery
from wagtail_vector_index.search import word_search
from wagtail_vector_index.search.query_terms import query_terms

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class SearchedPages(PagesAPIViewSet):
    """Pages, searched by meaning."""

    vector_index = "SiteIndex"
    filter_backends = [
        *(f for f in PagesAPIViewSet.filter_backends if f is not SearchFilter),
        VectorSearchFilter,
    ]


class NearPages(SearchedPages):
    """Only pages that are very near."""

    vector_search = {"similarity_threshold": 0.9}


class TwoPages(SearchedPages):
    """No more than two pages."""

    vector_search = {"limit": 2}


class Articles(SearchedPages):
    """Pages, searched in an index of one model by meaning and words."""

    vector_index = "ArticlePage"
    vector_search = {"mode": "hybrid"}


class Products(SearchedPages):
    """Pages, searched in an index that contains none."""

    vector_index = "ProductIndex"


class Unnamed(PagesAPIViewSet):
    """Pages, searched in no index."""

    filter_backends = SearchedPages.filter_backends


class Misspelt(SearchedPages):
    """An argument of the search that does not exist."""

    vector_search = {"limits": 2}


class SomePages(SearchedPages):
    """Only some pages of the index."""

    vector_search = {"within": ArticlePage.objects.filter(title__startswith="R")}


router = WagtailAPIRouter("api")
router.register_endpoint("unnamed", Unnamed)
router.register_endpoint("misspelt", Misspelt)
router.register_endpoint("some", SomePages)
router.register_endpoint("products", Products)
router.register_endpoint("articles", Articles)
router.register_endpoint("pages", SearchedPages)
router.register_endpoint("near", NearPages)
router.register_endpoint("two", TwoPages)
urlpatterns = [path("api/", router.urls), *site_patterns]


@pytest.fixture
def site(article, root, bring_up_to_date):
    """Pages of two kinds, in two languages."""
    bread = article("Sourdough", "<p>flour water salt</p>")
    article("Rye", "<p>flour rye</p>", parent=bread)
    article("Roggebrood", "<p>flour water</p>", locale=Locale.objects.create(language_code="nl"))
    tagged = article("Cake", "<p>flour sugar</p>", slug="cake")
    tagged.tags.add("sweet")
    tagged.save()
    root.add_child(instance=EventPage(title="Flour fair", place="market"))
    article("Trams", "<p>line two</p>")
    bring_up_to_date("SiteIndex")
    return bread


def get(address="pages", **query):
    return Client().get(f"/api/{address}/", query)


def titles(address="pages", **query):
    response = get(address, **query)
    assert response.status_code == 200, response.content
    return [item["title"] for item in response.json()["items"]]


def test_results_are_in_the_order_of_their_nearness(site):
    found = titles(search="sourdough flour water salt")
    assert found[0] == "Sourdough"
    assert len(found) == 6
    assert "Home" not in found  # in no index
    assert titles(search="line two")[0] == "Trams"
    item = get(search="fair flour").json()["items"][0]
    assert (item["title"], item["meta"]["type"]) == ("Flour fair", "testapp.EventPage")


def test_without_a_search_it_lists_all(site):
    assert "Home" in titles()
    assert titles(search=" ") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"type": "testapp.EventPage"}, {"Flour fair"}),
        ({"type": "testapp.EventPage,testapp.ArticlePage", "locale": "nl"}, {"Roggebrood"}),
        ({"locale": "nl"}, {"Roggebrood"}),
        ({"descendant_of": "SOURDOUGH"}, {"Rye"}),
        ({"child_of": "SOURDOUGH"}, {"Rye"}),
        ({"type": "testapp.ArticlePage", "slug": "cake"}, {"Cake"}),
    ],
)
def test_other_filters_narrow_a_search(query, found, site):
    chosen = {name: site.pk if value == "SOURDOUGH" else value for name, value in query.items()}
    assert set(titles(search="flour", **chosen)) == found


def test_tags_narrow_a_search(site, monkeypatch):
    monkeypatch.setattr(ArticlePage, "api_fields", ["tags"], raising=False)
    assert titles(search="flour", type="testapp.ArticlePage", tags="sweet") == ["Cake"]


@pytest.mark.parametrize("search", ["flour", " ", ""])
def test_a_type_that_the_index_does_not_contain_has_no_results(
    search, site, bring_up_to_date, full_text
):
    bring_up_to_date("ArticlePage")
    assert titles("articles", search=search, type="testapp.EventPage") == []
    assert get("articles", search=search, type="testapp.EventPage").json()["meta"] == {
        "total_count": 0
    }
    both = titles("articles", search=search, type="testapp.EventPage,testapp.ArticlePage")
    assert bool(both) is (search == "flour")


@pytest.mark.parametrize(
    ("query", "language"), [({"locale": "nl"}, "nl"), ({"locale": "cy"}, "en"), ({}, "en")]
)
def test_words_are_those_of_the_locale(
    query, language, site, bring_up_to_date, full_text, monkeypatch
):
    Locale.objects.create(language_code="cy")  # no language of this site's settings
    bring_up_to_date("ArticlePage")
    asked = []

    def terms(text):
        asked.append(get_language().partition("-")[0])
        return query_terms(text)

    monkeypatch.setattr(word_search, "query_terms", terms)
    found = titles("articles", search="waar is het brood", **query)
    assert asked == [language]
    assert found == (["Roggebrood"] if language == "nl" else [] if query else found)


def test_pages_of_results(site):
    everything = titles(search="flour")
    response = get(search="flour", limit=2, offset=1).json()
    assert [item["title"] for item in response["items"]] == everything[1:3]
    assert response["meta"]["total_count"] == len(everything)
    assert titles(search="flour", offset=100) == []


def test_the_view_set_has_arguments_of_the_search(site):
    assert titles("near", search="flour fair market") == ["Flour fair"]
    assert len(titles("two", search="flour")) == 2


def test_the_view_set_may_narrow_the_search_to_a_queryset(site):
    assert set(titles("some", search="flour")) == {"Rye", "Roggebrood"}
    assert titles("some", search="flour", locale="nl") == ["Roggebrood"]
    assert titles("some", search="flour", type="testapp.EventPage") == []


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("unnamed", InvalidIndex, "Unnamed needs an attribute vector_index, .* Available: testapp"),
        ("misspelt", InvalidQuery, "There is no argument 'limits'. Did you mean 'limit'"),
    ],
)
def test_mistakes_of_a_view_set_are_told(address, error, message, site):
    with pytest.raises(error, match=message):
        get(address, search="flour")


def test_private_pages_are_not_found(site):
    PageViewRestriction.objects.create(page=site, restriction_type=PageViewRestriction.LOGIN)
    assert "Sourdough" not in titles(search="sourdough flour water salt")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"order": "title"}, "order cannot be combined with search"),
        ({"limit": -1}, "limit must be a positive integer"),
        ({"type": "testapp.Nothing"}, "type doesn't exist"),
        ({"unknown": 1}, "query parameter is not an operation or a recognised field: unknown"),
    ],
)
def test_mistakes_are_bad_requests(query, message, site):
    response = get(search="flour", **query)
    assert response.status_code == 400
    assert response.json()["message"] == message


def test_an_index_without_the_views_objects_is_a_mistake_of_the_site(site):
    with pytest.raises(InvalidIndex, match="Products lists wagtailcore.Page, of which testapp.Pro"):
        get("products", search="flour")


def test_a_search_can_be_switched_off(site, settings):
    settings.WAGTAILAPI_SEARCH_ENABLED = False
    assert get(search="flour").json()["message"] == "search is disabled"


def test_an_index_that_is_not_built_is_unavailable(root, caplog):
    response = get(search="flour")
    assert response.status_code == 503
    assert response.json()["detail"] == "The search is not available at the moment."
    assert "manage.py update_vector_indexes" in caplog.text


def test_a_model_that_is_down_is_unavailable(embedder, site, caplog):
    """Whatever a third party's backend raises."""

    def fail(*arguments, **named):
        raise ConnectionError("no route to the model")

    embedder.before = fail
    response = get(search="flour")
    assert response.status_code == 503
    assert "no route to the model" in caplog.text


def test_a_service_that_is_down_is_unavailable(server, site, caplog):
    def fail(*arguments, **named):
        raise BackendUnavailable("no database at s3cr3t")

    server._search = fail
    response = get(search="flour")
    assert response.status_code == 503
    assert "s3cr3t" not in response.text
    assert "no database at s3cr3t" in caplog.text
