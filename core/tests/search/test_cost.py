"""What a search costs: how many queries it takes, and what they read."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from wagtail.models import Page, PageViewRestriction

from tests.testapp.models import ArticlePage, EventPage
from wagtail_vector_index.indexes import PageVectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import EmbeddingField

pytestmark = pytest.mark.django_db

#: The most queries of a search and of loading its results.
MOST = 5


class PrivateArticles(PageVectorIndex):
    """Articles, whoever may see them."""

    name = "private"
    querysets = [ArticlePage.objects.all()]
    include_private = True


class Mixed(PrivateArticles):
    """Pages of two classes."""

    name = "mixed"
    querysets = [ArticlePage.objects.all(), EventPage.objects.all()]
    embedding_fields = [EmbeddingField("title")]


class AllPages(PrivateArticles):
    """Pages of all classes."""

    name = "all"
    querysets = [Page.objects.all()]
    embedding_fields = [EmbeddingField("title")]


PRIVATE = PrivateArticles()


@pytest.fixture
def sections(article):
    """An open section, and one for each kind of view restriction, each with a page below it."""
    group = Group.objects.create(name="bakers")
    for kind in ("none", "login", "groups", "password"):
        section = article(f"{kind} section", "<p>bread</p>")
        for number in range(4):
            article(f"{kind} page {number}", "<p>bread</p>", parent=section)
        restriction = PageViewRestriction.objects.create(
            page=section, restriction_type=kind, password="x"
        )
        if kind == "groups":
            restriction.groups.add(group)
    return group


@pytest.fixture
def queries():
    """Return the queries of a search whose results are loaded, after a first one."""

    def run(index, query="bread", **arguments):
        list(index.search(query, **arguments))
        with CaptureQueriesContext(connection) as captured:
            list(index.search(query, **arguments))
        return [query["sql"] for query in captured]

    return run


def visit(user):
    request = RequestFactory().get("/")
    request.user, request.session = user, {}
    return request


def test_a_search_of_restricted_pages_takes_few_queries(sections, queries):
    update(PRIVATE)
    assert len(queries(PRIVATE)) <= MOST
    assert len(queries(PRIVATE, request=visit(AnonymousUser()))) <= MOST
    assert len(queries(PRIVATE, user=User.objects.create_superuser("admin"))) <= MOST


def test_as_do_aliases_of_restricted_pages(root, article, queries):
    sources = [article(f"source {number}", "<p>bread</p>") for number in range(3)]
    for page in sources:
        page.create_alias(parent=root, update_slug=f"alias-{page.pk}")
        PageViewRestriction.objects.create(page=page, restriction_type="login")
    update(PRIVATE)
    assert PRIVATE.search("bread", user=User.objects.create(username="a reader")).count() == 6
    assert PRIVATE.search("bread").count() == 0
    # One more, since an alias may have aliases itself.
    assert len(queries(PRIVATE)) <= MOST + 1
