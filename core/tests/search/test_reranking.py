"""What a reranking backend does to the results of searches."""

from __future__ import annotations

import asyncio
import logging

import pytest
from asgiref.sync import async_to_sync
from wagtail.models import PageViewRestriction

from tests.testapp.models import ArticlePage
from wagtail_vector_index.admin.chunks import objects_found
from wagtail_vector_index.answering.sources import candidates
from wagtail_vector_index.checks import check_indexes
from wagtail_vector_index.contract.sansio import run
from wagtail_vector_index.exceptions import InvalidIndex, RerankingUnavailable
from wagtail_vector_index.handlers import reranking_backends
from wagtail_vector_index.indexes import PageVectorIndex
from wagtail_vector_index.reranking.base import RerankingBackend
from wagtail_vector_index.wagtail_search.backend import SemanticSearchBackend

pytestmark = pytest.mark.usefixtures("full_text")

ARTICLES = ArticlePage.vector_index
QUESTION = "how to bake bread"


class Reranked(PageVectorIndex):
    name = "testapp.ArticlePage"
    querysets = [ArticlePage.objects.all()]
    reranking_backend = "letters"


class FirstThree(Reranked):
    rerank_candidates = 3


@pytest.fixture(autouse=True)
def reranker(settings):
    settings.WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
        "letters": {"BACKEND": "tests.testapp.reranking.LetterReranker"}
    }
    return reranking_backends["letters"]


@pytest.fixture
def loaves(article, bring_up_to_date):
    """Five pages, of which those farther from the question have more letters Z."""
    words = ["", "oneZ", "twoZ twoZ", "triZ triZ triZ", "fouZ fouZ fouZ fouZ"]
    pages = [article(f"how to bake bread {some}".strip()) for some in words]
    bring_up_to_date("ArticlePage")
    return pages


@pytest.fixture
def before(loaves, found):
    """The titles in the order without a reranker."""
    titles = found(ARTICLES, QUESTION)
    assert len(titles) == 5
    return titles


def by_letters(titles):
    return sorted(titles, key=lambda title: -title.count("Z"))


def test_no_index_reranks_unless_it_says_so(before, reranker):
    assert reranker.asked == []


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_the_order_is_that_of_the_reranker(before, found, mode):
    assert found(Reranked(), QUESTION, mode=mode) == by_letters(before) != before


def test_it_gets_the_query_and_the_best_chunks(before, found, reranker):
    found(Reranked(), f"  {QUESTION} ")
    [(query, texts)] = reranker.asked
    assert query == QUESTION
    assert [text.partition("\n")[0] for text in texts] == before


def test_a_page_far_down_comes_first_however_few_are_asked_for(before, found):
    assert found(Reranked(), QUESTION, limit=1) == by_letters(before)[:1]
    assert found(Reranked(), QUESTION, limit=1, mode="hybrid") == by_letters(before)[:1]


def test_what_is_beyond_the_candidates_follows_in_its_order(before, found, reranker):
    expected = by_letters(before[:3]) + before[3:]
    assert found(FirstThree(), QUESTION) == expected
    assert found(FirstThree(), QUESTION, limit=2) == expected[:2]
    assert [len(texts) for _, texts in reranker.asked] == [3, 3]


def test_equal_scores_keep_the_order(before, found, reranker):
    reranker.answer = lambda texts: [1.0] * len(texts)
    assert found(Reranked(), QUESTION) == before


def test_vector_scores_and_thresholds_are_those_from_before(before, found):
    scores = {page.title: page.vector_score for page in ARTICLES.search(QUESTION)}
    reranked = {page.title: page.vector_score for page in Reranked().search(QUESTION)}
    assert reranked == scores
    threshold = scores[before[2]]
    few = found(Reranked(), QUESTION, similarity_threshold=threshold)
    assert few == by_letters(found(ARTICLES, QUESTION, similarity_threshold=threshold))
    assert len(few) < 5


def test_asynchronous_searches_are_reranked(before):
    results = async_to_sync(Reranked().asearch)(QUESTION)
    assert [page.title for page in results] == by_letters(before)


def test_a_slice_is_of_the_reranked_order_and_asks_once(before, reranker):
    results = Reranked().search(QUESTION)
    pages = [page.title for start in (0, 2, 4) for page in results[start : start + 2]]
    assert pages == by_letters(before)
    assert len(reranker.asked) == 1


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_a_search_of_wagtails_is_reranked(before, monkeypatch, mode):
    monkeypatch.setattr(type(ARTICLES), "reranking_backend", "letters")
    backend = SemanticSearchBackend({"INDEX": ARTICLES.name, "MODE": mode})
    found = backend.search(QUESTION, ArticlePage.objects.all())
    assert [page.title for page in found] == by_letters(before)


def test_a_search_of_wagtails_in_another_order_asks_nobody(before, monkeypatch, reranker):
    monkeypatch.setattr(type(ARTICLES), "reranking_backend", "letters")
    backend = SemanticSearchBackend({"INDEX": ARTICLES.name})
    titled = ArticlePage.objects.order_by("title")
    found = backend.search(QUESTION, titled, order_by_relevance=False)
    assert [page.title for page in found] == sorted(before)
    assert reranker.asked == []


def test_a_search_that_ignores_who_sees_it_sends_no_text(before, monkeypatch, reranker):
    monkeypatch.setattr(type(ARTICLES), "reranking_backend", "letters")
    backend = SemanticSearchBackend({"INDEX": ARTICLES.name, "VISIBILITY": "queryset"})
    found = backend.search(QUESTION, ArticlePage.objects.all())
    assert [page.title for page in found] == before
    assert reranker.asked == []


def test_what_is_hidden_while_the_reranker_works_is_not_shown(before, found, reranker):
    def hide(texts):
        ArticlePage.objects.get(title=before[0]).unpublish()
        return [0.0] * len(texts)

    reranker.answer = hide
    assert found(Reranked(), QUESTION) == before[1:]


def test_answers_rest_on_what_comes_first(before, reranker):
    results = Reranked().search(QUESTION)
    chunks = run(candidates(results))
    assert [chunk.object.title for chunk in chunks[:5]] == by_letters(before)


def test_the_admins_trial_shows_the_order_of_the_site(before, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    found = objects_found(Reranked(), QUESTION, request)
    assert [one.source.title for one in found] == by_letters(before)


def test_only_objects_within_the_queryset_are_sent(before, found, reranker):
    within = ArticlePage.objects.exclude(title__contains="fou")
    expected = [title for title in by_letters(before) if "fou" not in title]
    assert found(Reranked(), QUESTION, within=within) == expected
    [(_, texts)] = reranker.asked
    assert len(texts) == 4
    assert not any("fou" in text for text in texts)


def test_similar_objects_are_not_reranked(loaves, before, reranker):
    assert list(Reranked().find_similar(loaves[0])) == list(ARTICLES.find_similar(loaves[0]))
    assert reranker.asked == []


def test_one_result_needs_no_reranker(loaves, found, reranker):
    within = ArticlePage.objects.filter(pk=loaves[1].pk)
    assert found(Reranked(), QUESTION, within=within) == [loaves[1].title]
    assert found(Reranked(), "") == []
    assert reranker.asked == []


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_no_text_that_the_visitor_may_not_see_leaves(
    loaves, bring_up_to_date, monkeypatch, found, reranker, mode
):
    monkeypatch.setattr(type(ARTICLES), "include_private", True)
    monkeypatch.setattr(Reranked, "include_private", True)
    secret = loaves[3]
    PageViewRestriction.objects.create(page=secret, restriction_type=PageViewRestriction.LOGIN)
    bring_up_to_date("ArticlePage")
    assert secret.title not in found(Reranked(), QUESTION, mode=mode)
    [(_, texts)] = reranker.asked
    assert len(texts) == 4
    assert not [text for text in texts if secret.title in text]


# Failures


def down(texts):
    raise RerankingUnavailable(f"Acme answered: busy with {texts[1]}")


FAILURES = [
    (down, "RerankingUnavailable: Acme answered: busy with"),
    (lambda texts: 1 / 0, "ZeroDivisionError: division by zero"),
    (lambda texts: [1.0], "InvalidScores: It returned 1 scores for 5 texts."),
    (lambda texts: [*range(5), 9], "It returned 6 scores for 5 texts."),
    (lambda texts: [float("nan"), 1, 2, 3, 4], "It returned a score that is NaN or infinite."),
    (lambda texts: [1, 2, 3, 4, float("inf")], "It returned a score that is NaN or infinite."),
    (lambda texts: [10**400] * 5, "It returned something other than numbers."),
    (lambda texts: ["high"] * 5, "It returned something other than numbers."),
    (lambda texts: None, "It returned something other than numbers."),
]


def test_a_failure_keeps_the_order_and_is_logged(before, found, reranker, caplog):
    for answer, message in FAILURES:
        caplog.clear()
        reranker.answer = answer
        with caplog.at_level(logging.WARNING, "wagtail_vector_index"):
            assert found(Reranked(), QUESTION) == before
        [record] = caplog.records
        assert record.levelname == "WARNING"
        said = record.getMessage()
        assert said.startswith(
            "testapp.ArticlePage is searched without its reranking backend 'letters', which failed:"
        )
        assert message in said
        assert "oneZ" not in said


def test_a_failure_of_an_asynchronous_search(before, reranker):
    reranker.answer = down
    results = async_to_sync(Reranked().asearch)(QUESTION)
    assert [page.title for page in results] == before


# Declarations


UNUSABLE = [
    ({}, "WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS has no alias 'lettrs'."),
    ({"lettrs": {"BACKEND": "fastembed"}}, "'MODEL' is missing."),
    ({"lettrs": {"BACKEND": "no_such_reranker"}}, "no_such_reranker"),
]


def test_a_backend_that_cannot_be_made_stops_no_search(
    before, found, monkeypatch, settings, caplog
):
    """The system checks report it. Until it is mended, visitors find something."""
    monkeypatch.setattr(Reranked, "reranking_backend", "lettrs")
    for backends, message in UNUSABLE:
        caplog.clear()
        settings.WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = backends
        with caplog.at_level(logging.WARNING, "wagtail_vector_index"):
            assert found(Reranked(), QUESTION) == before
        [record] = caplog.records
        assert "without its reranking backend 'lettrs', which failed: " in record.getMessage()
        assert message in record.getMessage()


def test_a_number_of_candidates_that_cannot_be(monkeypatch):
    for number in (0, -1, 2.5, True, None, "50"):
        monkeypatch.setattr(Reranked, "rerank_candidates", number)
        message = f"rerank_candidates must be an int of at least 1, not {number!r}"
        with pytest.raises(InvalidIndex, match=message):
            Reranked().search(QUESTION)


def test_the_check_tells_of_a_number_of_candidates_that_cannot_be(monkeypatch):
    monkeypatch.setattr(type(ARTICLES), "reranking_backend", "letters")
    monkeypatch.setattr(type(ARTICLES), "rerank_candidates", 0)
    assert "rerank_candidates must be an int of at least 1, not 0" in str(check_indexes())


def test_a_number_of_candidates_that_nobody_uses(loaves, found, monkeypatch):
    monkeypatch.setattr(type(ARTICLES), "rerank_candidates", 0)
    assert len(found(ARTICLES, QUESTION)) == 5


# The base class


def test_the_least_backend():
    class Lengths(RerankingBackend):
        def rerank(self, query, texts):
            return [len(query) - len(text) for text in texts]

    backend = Lengths("default", Lengths.Options())
    assert asyncio.run(backend.arerank("ab", ["a", "abc"])) == [1, -1]
    assert backend.check() == []
    backend.close()
    assert repr(backend) == "<Lengths 'default'>"
