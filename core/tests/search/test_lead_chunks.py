"""The score of an object: its best chunk's, mixed with that of its first chunk."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.testapp.models import ArticlePage
from wagtail_vector_index.contract.sansio import run
from wagtail_vector_index.models.tables import Document
from wagtail_vector_index.search.chunks import chunk_scores

pytestmark = pytest.mark.django_db

ARTICLES = ArticlePage.vector_index

ABOUT_BREAD = "<p>" + "bread flour " * 40 + "</p>"
IN_PASSING = "<p>" + "hedge lawn " * 40 + "</p>" + ABOUT_BREAD


@pytest.fixture
def pages(article, bring_up_to_date):
    """Two pages with the same chunk about bread, which is the first chunk of one of them."""
    found = article("Garden", IN_PASSING), article("Bakery", ABOUT_BREAD + IN_PASSING)
    bring_up_to_date("ArticlePage")
    return found


def chunks(results):
    """Return the scores of the chunks of each page, in the order of the text."""
    documents = Document.objects.order_by("position").values_list("object_key", "pk")
    keys = {key: page for page in results for key in [f"wagtailcore.page:{page.pk}"]}
    scores = run(chunk_scores(results.search, list(keys), 100))
    return {
        page.title: [scores[pk] for key, pk in documents if key == name]
        for name, page in keys.items()
    }


def test_a_page_about_the_query_is_before_one_that_mentions_it(pages):
    results = ARTICLES.search("bread flour")
    assert [page.title for page in results] == ["Bakery", "Garden"]
    scores = chunks(results)
    assert max(scores["Bakery"]) == pytest.approx(max(scores["Garden"]), abs=0.02)
    for page in results:
        best, lead = max(scores[page.title]), scores[page.title][0]
        assert page.vector_score == pytest.approx(0.7 * best + 0.3 * lead, abs=1e-5)
        assert "bread" in page.vector_excerpt


def test_many_mentions_do_not_hide_a_page_about_the_query(article, bring_up_to_date):
    """40 pages that only mention bread have a chunk that is nearer to the query than its own."""
    for number in range(40):
        article(f"Garden {number}", IN_PASSING)
    article("Bakery", ABOUT_BREAD.replace("flour", "oven", 12))
    bring_up_to_date("ArticlePage")
    [first] = ARTICLES.search("bread flour", limit=1)
    assert first.title == "Bakery"


def test_hybrid_and_asynchronous_searches_give_the_same_scores(full_text, pages):
    scores = {page.pk: page.vector_score for page in ARTICLES.search("bread flour")}
    awaited = async_to_sync(ARTICLES.asearch)("bread flour")
    hybrid = ARTICLES.search("bread flour", mode="hybrid")
    for results in (awaited, hybrid):
        assert {page.pk: page.vector_score for page in results} == pytest.approx(scores)


def test_the_threshold_is_compared_with_the_mixed_score(full_text, pages):
    _, garden = ARTICLES.search("bread flour")
    best = max(chunks(ARTICLES.search("bread flour"))["Garden"])
    between = (garden.vector_score + best) / 2
    for mode in ("vector", "hybrid"):
        found = ARTICLES.search("bread flour", similarity_threshold=between, mode=mode)
        assert [page.title for page in found] == ["Bakery"]


def test_similar_pages_are_ranked_by_their_lead_too(pages, article, bring_up_to_date):
    asked = article("Loaf", "<p>bread flour</p>")
    bring_up_to_date("ArticlePage")
    assert [page.title for page in ARTICLES.find_similar(asked)] == ["Bakery", "Garden"]


def test_the_number_of_queries_does_not_grow(pages, article, bring_up_to_date):
    for number in range(20):
        article(f"Shed {number}", IN_PASSING)
    bring_up_to_date("ArticlePage")
    list(ARTICLES.search("bread flour"))
    counts = []
    for limit in (2, 20):
        with CaptureQueriesContext(connection) as captured:
            assert len(ARTICLES.search("bread flour", limit=limit)) == limit
        counts.append(len(captured))
    assert counts[0] == counts[1]
