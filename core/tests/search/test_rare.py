"""Searches by visitors who may see next to nothing of what an index holds."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db.models import Q
from hypothesis import given
from hypothesis import strategies as st
from wagtail.models import Page, PageViewRestriction

from tests.testapp.models import ArticlePage
from wagtail_vector_index.content.visibility import _Subtrees, visible_to
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import EmbeddingField
from wagtail_vector_index.search import base as searching
from wagtail_vector_index.search import hybrid_search

pytestmark = pytest.mark.django_db


class RareIndex(VectorIndex):
    """Pages, whoever may see them."""

    name = "rare"
    querysets = [Page.objects.all()]
    include_private = True
    embedding_fields = [EmbeddingField("title")]


RARE = RareIndex()


class SmallTree:
    """A tree whose paths are soon exhausted."""

    steplen = 2
    alphabet = "01Z"


@pytest.fixture
def asked(server, monkeypatch):
    """For how many matches the vector backend is asked."""
    limits = []
    search = type(server)._search

    def noting(self, spec, vector, limit, filter, min_score):
        limits.append(limit)
        return search(self, spec, vector, limit, filter, min_score)

    monkeypatch.setattr(type(server), "_search", noting)
    return limits


@pytest.fixture
def site(root, asked):
    """150 private pages that are nearest to a query, and a few that anybody may see."""
    private = root.add_child(instance=Page(title="Members", slug="members"))
    kind, locale = private.content_type, private.locale
    Page.objects.bulk_create(
        Page(
            title="bread", draft_title="bread", slug=f"private-{n}", content_type=kind, live=True,
            depth=4, path=f"{private.path}{n:04d}", locale=locale, url_path=f"/home/members/{n}/",
        )
        for n in range(1, 151)
    )  # fmt: skip
    for number in range(12):
        root.add_child(instance=Page(title=f"bread and more {number}", slug=f"open-{number}"))
    PageViewRestriction.objects.create(page=private, restriction_type="login")
    update(RARE)
    asked.clear()
    return root


def test_few_matches_are_asked_for(site, asked, found, django_assert_max_num_queries):
    assert all("more" in title for title in found(RARE, "bread", limit=10))
    assert asked == [30, 30]
    with django_assert_max_num_queries(12):
        assert len(found(RARE, "bread", limit=10)) == 10


def test_who_may_see_all_costs_no_more_than_before(site, asked, found):
    reader = User.objects.create_user("reader")
    assert set(found(RARE, "bread", limit=10, user=reader)) == {"bread"}
    assert asked == [30]


def test_where_the_visible_are_not_few_more_and_more_is_asked_for(site, asked, found, monkeypatch):
    monkeypatch.setattr(searching, "MAX_FILTER_KEYS", 5)
    assert all("more" in title for title in found(RARE, "bread", limit=10))
    assert asked == [30, 600]


def test_filter_within_and_threshold_hold_as_ever(site, found):
    within = Page.objects.filter(title__endswith="1")
    assert set(found(RARE, "bread", within=within)) == {"bread and more 1", "bread and more 11"}
    assert found(RARE, "bread", filter=Q(model="testapp.articlepage")) == []
    assert found(RARE, "bread", similarity_threshold=0.999) == []


def test_what_is_unpublished_meanwhile_is_not_found(site, found, monkeypatch):
    """Between the moment at which one asks what may be seen, and that of the result."""
    few_visible = RareIndex.few_visible

    def then_unpublished(self, *arguments):
        keys = few_visible(self, *arguments)
        Page.objects.get(slug="open-3").unpublish()
        return keys

    monkeypatch.setattr(RareIndex, "few_visible", then_unpublished)
    titles = found(RARE, "bread", limit=20)
    assert len(titles) > 5
    assert "bread and more 3" not in titles


def test_a_visitor_who_may_see_nothing(site, found):
    PageViewRestriction.objects.create(page=site, restriction_type="login")
    assert found(RARE, "bread") == []


@given(
    roots=st.sets(st.text("01Z", min_size=2, max_size=6).filter(lambda path: len(path) % 2 == 0)),
    path=st.text("01Z", min_size=2, max_size=8).filter(lambda path: len(path) % 2 == 0),
)
def test_the_ranges_outside_are_what_is_in_no_part(roots, path):
    parts = _Subtrees(roots, SmallTree, "path")
    ranges = list(parts._ranges_outside())
    in_ranges = sum(start <= path and (end is None or path < end) for start, end in ranges)
    assert in_ranges == (not parts._has(path))


@pytest.mark.parametrize("most", [300, 2, 1])
def test_few_are_found_as_many_are(article, root, monkeypatch, most):
    """By ranges of paths, by several queries where there are too many of them for one."""
    monkeypatch.setattr("wagtail_vector_index.content.visibility._MAX_RANGES", most)
    pages = [article(f"page {number}") for number in range(6)]
    below = [article("below", parent=page) for page in pages]
    for page in (pages[0], pages[2], pages[3], below[2], below[5], root.get_parent()):
        restriction = PageViewRestriction.objects.create(page=page, restriction_type="login")
        queryset = Page.objects.all()
        everything = visible_to().primary_keys(queryset)
        few = visible_to().few_primary_keys(queryset, len(everything))
        assert sorted(few) == sorted(everything)
        if everything:
            assert visible_to().few_primary_keys(queryset, len(everything) - 1) is None
        if page == root.get_parent():
            assert few == []
        restriction.delete() if page == below[2] else None


def test_private_pages_do_not_count_in_the_scores_of_words(article, monkeypatch):
    """The order of what one may see would tell of what one may not."""
    index = type("Private", (RareIndex,), {"querysets": [ArticlePage.objects.all()]})()
    words = ["bread", "a", "b", "c", "d"]
    pages = [article(" ".join(words[: number + 1])) for number in range(5)]
    secret = article("Secret")
    PageViewRestriction.objects.create(page=secret, restriction_type="login")
    hidden = [article(f"bread {number}", parent=secret) for number in range(30)]
    update(index)

    def key(page):
        return f"wagtailcore.page:{page.pk}"

    scores = {key(page): float(number) for number, page in enumerate(pages, start=1)}

    def results(private):
        higher = {key(page): 100.0 + number for number, page in enumerate(private)}
        monkeypatch.setattr(hybrid_search, "word_scores", lambda *_: higher | scores)
        return [page.pk for page in index.search("bread", limit=3, mode="hybrid")]

    assert results(hidden) == results([])


def test_hybrid_search_looks_for_words_among_the_few_that_may_be_seen(site, monkeypatch):
    asked_among = []

    def noting(index, text, among, limit):
        asked_among.append(among)
        return {}

    monkeypatch.setattr(hybrid_search, "word_scores", noting)
    assert len(list(RARE.search("bread", limit=10, mode="hybrid"))) == 10
    ((among),) = asked_among
    assert len(among) == len(visible_to().primary_keys(Page.objects.all()))
