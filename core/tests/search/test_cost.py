"""What a search costs: how many queries it takes, and what they read."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection
from django.db.models import Count
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from wagtail.models import Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Comment, EventPage, Note
from wagtail_vector_index.content import visibility
from wagtail_vector_index.content.visibility import visible_to
from wagtail_vector_index.indexes import PageVectorIndex, VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import EmbeddingField
from wagtail_vector_index.search import base, live_chunks
from wagtail_vector_index.wagtail_search.unrestricted import unrestricted

pytestmark = pytest.mark.django_db

#: The most queries of a search and of loading its results.
MOST = 5


class PrivateArticles(PageVectorIndex):
    """Articles, whoever may see them."""

    name = "private"
    querysets = [ArticlePage.objects.all()]
    include_private = True


class Mixed(PageVectorIndex):
    """Pages of two classes."""

    name = "mixed"
    querysets = [ArticlePage.objects.all(), EventPage.objects.all()]
    embedding_fields = [EmbeddingField("title")]


class AllPages(PageVectorIndex):
    """Pages of all classes, which Wagtail loads by one query for each class."""

    name = "all"
    querysets = [Page.objects.all()]
    embedding_fields = [EmbeddingField("title")]


PRIVATE = PrivateArticles()


@pytest.fixture
def sections(article):
    """A section for each kind of view restriction, each with a page below it."""
    groups = [Group.objects.create(name=name) for name in ("bakers", "guests", "others")]
    for kind in ("none", "login", "groups", "password"):
        section = article(f"{kind} section", "<p>bread</p>")
        article(f"{kind} page", "<p>bread</p>", parent=section)
        made = PageViewRestriction.objects.create(page=section, restriction_type=kind, password="x")
        if kind == "groups":
            made.groups.set(groups[:2])
    return groups


@pytest.fixture
def queries():
    """Return the queries of a search whose results are loaded, after a first search."""

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
    admin, reader = User.objects.create_superuser("admin"), User.objects.create_user("reader")
    assert len(queries(PRIVATE)) <= MOST
    assert len(queries(PRIVATE, request=visit(AnonymousUser()))) <= MOST
    assert len(queries(PRIVATE, user=admin)) <= MOST
    assert len(queries(PRIVATE, user=reader)) <= MOST + 1  # the reader's groups


def test_pages_of_two_classes_take_no_more_if_one_has_the_results(root, article, queries):
    for number in range(3):
        article(f"bread {number}")
    root.add_child(instance=EventPage(title="Fair", place="hall"))
    update(Mixed())
    assert len(queries(Mixed(), limit=3)) <= MOST + 1  # whether events are visible


@pytest.mark.parametrize("member_of", [(), (0,), (1, 2), (2,)])
def test_each_group_of_a_restriction_counts(sections, member_of):
    user = User.objects.create_user("member")
    user.groups.set(sections[number] for number in member_of)
    update(PRIVATE)
    found = {page.title for page in PRIVATE.search("bread", user=user)}
    assert ("groups page" in found) == bool({0, 1}.intersection(member_of))
    assert "login page" in found


def test_groups_of_aliased_sections_are_told_apart(root, sections):
    """A section with two groups and two aliases is four rows of the query."""
    section = ArticlePage.objects.get(title="groups section")
    for number in (1, 2):
        section.create_alias(parent=root, update_slug=f"alias-{number}")
    other = ArticlePage.objects.get(title="none page")
    restriction = PageViewRestriction.objects.create(page=other, restriction_type="groups")
    restriction.groups.add(sections[2])
    update(PRIVATE)
    baker, guest = User.objects.create_user("baker"), User.objects.create_user("guest")
    baker.groups.add(sections[0])
    guest.groups.add(sections[2])
    titles = [page.title for page in PRIVATE.search("bread", user=baker, limit=20)]
    assert titles.count("groups section") == 3
    assert "none page" not in titles
    titles = [page.title for page in PRIVATE.search("bread", user=guest, limit=20)]
    assert titles.count("groups section") == 0
    assert "none page" in titles


def test_a_rule_of_the_site_can_read_and_filter_the_groups(sections, monkeypatch):
    update(PRIVATE)
    asked = {}

    def rule(restriction, request):
        groups = restriction.groups.all()
        asked[restriction.restriction_type] = (
            [group.name for group in groups],
            groups.filter(name__startswith="b").count(),
        )
        return True

    monkeypatch.setattr(PageViewRestriction, "accept_request", rule)
    assert PRIVATE.search("bread").count() == 8
    assert sorted(asked.pop("groups")[0]) == ["bakers", "guests"]
    assert set(map(str, asked.values())) == {"([], 0)"}


def test_the_restrictions_are_not_looked_for_page_by_page(article, queries):
    """SQLite once read every page that is no alias, to find none that was restricted."""
    article("bread")
    update(PRIVATE)
    (sql,) = [sql for sql in queries(PRIVATE) if "pageviewrestriction" in sql]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[-1] for row in cursor.fetchall()]
            assert plan[0].endswith("wagtailcore_pageviewrestriction")
    assert '"alias_of_id" IS NULL' not in sql


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite names the pages that it scans")
def test_aliases_are_looked_up_although_statistics_say_that_most_pages_are_none(
    root, article, queries
):
    section = article("bread")
    PageViewRestriction.objects.create(page=section, restriction_type="login")
    alias = section.create_alias(parent=root, update_slug="alias")
    alias.create_alias(parent=root, update_slug="alias-of-alias")
    update(PRIVATE)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        # What SQLite notes of 100,000 pages, with `alias_of` empty in nearly all of them.
        cursor.execute(
            "UPDATE sqlite_stat1 SET stat = '100000' || CASE WHEN idx LIKE '%%alias_of%%'"
            " THEN ' 100000' ELSE substr(stat, instr(stat, ' ')) END WHERE tbl = %s",
            [Page._meta.db_table],
        )
        cursor.execute("ANALYZE sqlite_master")  # reads the statistics again
        asked = [sql for sql in queries(PRIVATE) if '"alias_of_id" >=' in sql]
        plans = []
        for sql in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plans += [row[-1] for row in cursor.fetchall()]
    assert len(asked) == 3, "restrictions with aliases, aliases of these, and of those"
    scans = [step for step in plans if step.startswith("SCAN")]
    assert scans == ["SCAN wagtailcore_pageviewrestriction"]
    assert PRIVATE.search("bread").count() == 0


def test_where_restrictions_do_not_matter_none_is_read(sections, queries):
    update(PRIVATE)
    index = unrestricted(PRIVATE)
    assert index.search("bread").count() == 8
    assert not [sql for sql in queries(index) if "pageviewrestriction" in sql]


def test_pages_of_a_class_without_subclasses_are_loaded_at_once(root, article):
    article("bread")
    event = root.add_child(instance=EventPage(title="bread fair", place="hall"))
    for index in (Mixed(), AllPages()):
        update(index)
        found = list(index.search("bread", limit=5))
        assert {type(page) for page in found} >= {ArticlePage, EventPage}
        assert event in found
    assert not any(queryset.is_specific for queryset in Mixed().get_querysets())
    assert all(queryset.is_specific for queryset in AllPages().get_querysets())


class OneByOne(VectorIndex):
    """Pages of long texts, whoever may see them."""

    name = "one_by_one"
    querysets = [ArticlePage.objects.all()]
    include_private = True
    chunk_tokens = 20


@pytest.mark.parametrize("hidden", [(0, 1), range(13), range(1, 16), range(16)])
def test_the_results_are_the_same_whatever_is_checked_first(article, monkeypatch, hidden):
    """The order of the results depends on leads, and some of the first pages are hidden."""
    index = OneByOne()
    for number in range(16):
        article(f"Page {number}", f"<p>{'hedge lawn ' * (number % 7) * 5}</p><p>bread flour</p>")
    update(index)
    ranked = list(index.search("bread flour", limit=16))
    assert len(ranked) == 16
    for number in hidden:
        PageViewRestriction.objects.create(page=ranked[number], restriction_type="login")
    expected = [page for number, page in enumerate(ranked) if number not in hidden]
    for limit in (1, 4, 16):
        for most in (250, 0):
            monkeypatch.setattr(base, "_RANKED_UNCHECKED", most)
            results = list(index.search("bread flour", limit=limit))
            assert results == expected[:limit]
            scores = [page.vector_score for page in results]
            assert scores == sorted(scores, reverse=True)


def number_of_keys(sql):
    return sql.partition(" IN (")[2].partition(")")[0].count(",") + 1


def hide(*pages):
    for page in pages:
        PageViewRestriction.objects.create(page=page, restriction_type="login")


def test_the_first_objects_are_checked_and_loaded_at_once(article, queries):
    for number in range(20):
        article(f"bread {number}")
    update(PRIVATE)
    sql = queries(PRIVATE, limit=5)
    (loaded,) = [one for one in sql if "articlepage" in one]
    assert number_of_keys(loaded) == 5
    assert len(sql) == MOST - 1


@pytest.mark.parametrize(
    ("hidden", "keys"), [(1, [5, 10]), (5, [5, 10]), (14, [5, 10, 5, 4]), (20, [5, 10, 5])]
)
def test_if_some_are_hidden_others_are_checked_too(article, queries, hidden, keys):
    for number in range(20):
        article(f"bread {number}")
    update(PRIVATE)
    ranked = list(PRIVATE.search("bread", limit=20))
    hide(*ranked[:hidden])
    assert list(PRIVATE.search("bread", limit=5)) == ranked[hidden : hidden + 5]
    sql = queries(PRIVATE, limit=5)
    assert [number_of_keys(one) for one in sql if "articlepage" in one] == keys


def test_a_part_of_the_results_loads_only_that_part(article):
    for number in range(5):
        article(f"bread {number}")
    update(PRIVATE)
    with CaptureQueriesContext(connection) as captured:
        assert len(list(PRIVATE.search("bread")[1:3])) == 2
    checked, loaded = [one["sql"] for one in captured if "articlepage" in one["sql"]]
    assert (number_of_keys(checked), number_of_keys(loaded)) == (5, 2)


class Titles(PrivateArticles):
    """Articles of which the paths are not loaded."""

    name = "titles"
    querysets = [ArticlePage.objects.only("title")]
    embedding_fields = [EmbeddingField("title")]


class WithSites(PrivateArticles):
    """Articles that are loaded together with other objects."""

    name = "with_sites"
    querysets = [ArticlePage.objects.prefetch_related("sites_rooted_here")]


@pytest.mark.parametrize(
    ("index", "hidden", "most"),
    [
        (Titles(), 0, MOST - 1),
        (Titles(), 1, MOST),
        (WithSites(), 0, MOST + 1),
        (WithSites(), 1, MOST + 1),
        (Mixed(), 0, MOST - 1),
        (Mixed(), 1, MOST + 1),
        (AllPages(), 0, MOST + 1),
        (AllPages(), 1, MOST + 1),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_objects_that_one_query_cannot_check_and_load_take_no_more(
    article, queries, index, hidden, most
):
    """Where anything is restricted, each path that is not loaded would take a query."""
    for number in range(5):
        article(f"bread {number}")
    update(index)
    ranked = list(index.search("bread", limit=3 + hidden))
    hide(*ranked[:hidden])
    assert list(index.search("bread", limit=3)) == ranked[hidden:]
    assert len(queries(index, limit=3)) == most


class NotesAndArticles(VectorIndex):
    """Objects that nobody can restrict, and pages."""

    name = "notes_and_articles"
    querysets = [Note.objects.all(), ArticlePage.objects.all()]
    include_private = True


def test_restrictions_are_read_only_for_what_is_found(article, queries):
    note = Note.objects.create(text="bread")
    hide(article("hedge"))
    update(NotesAndArticles())
    threshold = {"limit": 1, "similarity_threshold": 0.9}
    assert list(NotesAndArticles().search("bread", **threshold)) == [note]
    sql = queries(NotesAndArticles(), **threshold)
    assert not [one for one in sql if "pageviewrestriction" in one]
    assert len(sql) == MOST - 2
    nothing = {"query": "hedge bread", "similarity_threshold": 0.999}
    assert NotesAndArticles().search(**nothing).count() == 0
    assert not [one for one in queries(NotesAndArticles(), **nothing) if "restriction" in one]


class Checked(PrivateArticles):
    """Articles, some of which a rule of the site's own hides."""

    name = "checked"

    def visible_among(self, keys, visibility, within=None):
        """Return the keys without the page that nobody may see."""
        visible = super().visible_among(keys, visibility, within)
        hidden = ArticlePage.objects.filter(title="bread 1")
        return visible - {f"wagtailcore.page:{page.pk}" for page in hidden}


class Discussed(VectorIndex):
    """Notes with the number of their comments, as far as one of these is public."""

    name = "discussed"
    querysets = [Note.objects.annotate(number=Count("comments"))]

    def live(self, queryset):
        """Return the notes, with a row for each public comment."""
        return super().live(queryset).filter(comments__text__startswith="public")


class Marked(PrivateArticles):
    """Articles that the site marks as it loads them."""

    name = "marked"

    def fetch(self, keys):
        """Return the articles with a mark."""
        found = super().fetch(keys)
        for page in found.values():
            page.mark = True
        return found


def test_methods_of_the_sites_own_decide(article):
    for number in range(3):
        article(f"bread {number}")
    update(Checked())
    assert {page.title for page in Checked().search("bread")} == {"bread 0", "bread 2"}
    update(Marked())
    assert all(page.mark for page in Marked().search("bread"))
    note = Note.objects.create(text="bread")
    for text in ("public", "public too", "private"):
        Comment.objects.create(note=note, text=text)
    update(Discussed())
    assert [found.number for found in Discussed().search("bread")] == [3]


@pytest.mark.parametrize("most", [200, 0])
def test_excerpts_are_those_of_the_best_chunks(article, monkeypatch, queries, most):
    """Few texts are read at the search, many when their objects are loaded."""
    monkeypatch.setattr(live_chunks, "_MOST_TEXTS", most)
    for number in range(3):
        article(f"Page {number}", f"<p>{'hedge lawn ' * 30}</p><p>bread flour {number}</p>")
    index = OneByOne()
    update(index)
    found = list(index.search("bread flour 1", limit=3))
    assert all(f"bread flour {page.title[-1]}" in page.vector_excerpt for page in found)
    assert found[0].get_excerpt(mark=False)


def test_a_text_that_was_deleted_before_it_is_shown_is_not_shown(article):
    """Results that were counted are read again when they are loaded."""
    page = article("Page", "<p>bread and a secret</p>")
    update(PRIVATE)
    results = PRIVATE.search("bread")
    assert results.count() == 1
    page.intro = "<p>bread</p>"
    page.save()
    update(PRIVATE)
    assert "secret" not in next(iter(results)).vector_excerpt


def test_a_hybrid_search_reads_the_collection_once(article, queries):
    for number in range(3):
        article(f"bread {number}")
    update(PRIVATE)
    sql = queries(PRIVATE, mode="hybrid")
    assert sum('FROM "wvi_collection"' in one for one in sql) == 1


def test_a_hybrid_search_within_a_queryset_asks_for_it_once_for_each_arm(article, queries):
    """Once for the keys of its objects, and once for those that each of the two arms found."""
    for number in range(5):
        article(f"Rye bread number {number}")
    update(PRIVATE)
    some = ArticlePage.objects.filter(title__endswith="3")
    sql = queries(PRIVATE, mode="hybrid", within=some)
    assert 0 < len([one for one in sql if "LIKE" in one]) <= 2


def test_however_many_subtrees_are_hidden_few_rows_are_read(article, root, monkeypatch):
    """Once, more than 300 subtrees had every page read."""
    monkeypatch.setattr(visibility, "_MAX_RANGES", 2)
    sections = [article(f"section {number}") for number in range(9)]
    for section in sections[1::2]:
        for number in range(5):
            article(f"private {number}", parent=section)
        PageViewRestriction.objects.create(page=section, restriction_type="login")
    visitor = visible_to()
    assert len(visitor.few_primary_keys(Page.objects.all(), 6)) == 6  # with the home page
    with CaptureQueriesContext(connection) as captured:
        assert visitor.few_primary_keys(Page.objects.all(), 3) is None
    sizes = [int(query["sql"].rpartition(" LIMIT ")[2]) for query in captured]
    assert sizes[0] == 4
    assert sizes == sorted(sizes, reverse=True)


def test_an_asynchronous_search_takes_as_many_queries(article):
    for number in range(3):
        article(f"article {number}", "<p>bread</p>")
    update(ArticlePage.vector_index)
    list(ArticlePage.vector_index.search("bread"))  # loads the vectors
    with CaptureQueriesContext(connection) as context:
        found = async_to_sync(ArticlePage.vector_index.search("bread").aload)()
    assert len(found) == 3
    assert len(context) <= MOST
