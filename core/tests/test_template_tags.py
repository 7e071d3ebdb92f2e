"""What the template tags find, and what they do about errors."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Q
from django.template import engines
from django.test import RequestFactory
from django.utils.translation import override
from wagtail.models import Locale, Page, PageViewRestriction

from tests.testapp.models import ArticlePage, EventPage, Note
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    EmbeddingUnavailable,
    InvalidIndex,
    InvalidQuery,
)
from wagtail_vector_index.indexes import VectorIndex, get_index, registry
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, EmbeddingField

pytestmark = pytest.mark.django_db

SEARCH = '{% vector_search query "ArticlePage" limit=limit as found %}'
SIMILAR = "{% vector_similar page limit=limit as found %}"
SHOW = "{% for one in found %}{{ one.title }} {{ one.vector_score|floatformat:1 }}|{% endfor %}"


@pytest.fixture
def articles(article, bring_up_to_date):
    pages = [
        article("Sourdough", "<p>flour water salt</p>"),
        article("Cake", "<p>flour water sugar</p>"),
        article("Trams", "<p>line two to the harbour</p>"),
    ]
    bring_up_to_date("ArticlePage")
    return pages


@pytest.fixture
def render():
    """What a tag finds in a template."""

    def run(tag, request=None, **context):
        source = "{% load wagtail_vector_index_tags %}" + tag + SHOW
        template = engines["django"].from_string(source)
        return template.render({"limit": 2, **context}, request)

    return run


def test_search(articles, render):
    assert render(SEARCH, query="flour water sugar").startswith("Cake 0.9|Sourdough 0.")


@pytest.mark.parametrize("tag", [SEARCH, SIMILAR])
def test_before_the_first_migrate(articles, render, monkeypatch, caplog, tag):
    """The tag finds nothing, and the transaction of the request goes on."""
    monkeypatch.setattr("wagtail_vector_index.models.tenants._found", set())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wvi_collection RENAME TO wvi_elsewhere")
    assert render(tag, query="flour", page=articles[0]) == ""
    assert "no tables of Wagtail Vector Index yet. Run: manage.py migrate" in caplog.text
    assert Note.objects.count() == 0


def test_similar(articles, render):
    assert render(SIMILAR, page=articles[0]).startswith("Cake 0.")


def test_similar_in_a_named_index(articles, render):
    tag = '{% vector_similar page index="ArticlePage" limit=1 as found %}'
    assert render(tag, page=articles[0]).startswith("Cake 0.")
    assert render(SIMILAR, page=articles[0], limit=1).count("|") == 1


def test_an_index_may_be_given_instead_of_its_name(articles, render):
    assert get_index(ArticlePage.vector_index) is ArticlePage.vector_index
    tag = '{% vector_search "sugar" index=page.vector_index as found %}'
    assert render(tag, page=articles[0]).startswith("Cake")
    tag = "{% vector_similar page index=page.vector_index as found %}"
    assert render(tag, page=articles[0]).startswith("Cake")


def test_other_arguments_are_those_of_a_search(articles, render):
    tag = '{% vector_search "flour" "ArticlePage" within=within as found %}'
    within = ArticlePage.objects.filter(title="Sourdough")
    assert render(tag, within=within).startswith("Sourdough")


def test_excerpts(article, bring_up_to_date, render):
    article("Loaf", "<p>Take &lt;b&gt;flour&lt;/b&gt; and water, and wait.</p>")
    bring_up_to_date("ArticlePage")
    tag = SEARCH + "{% for one in found %}{% search_excerpt one words=3 %}{% endfor %}"
    assert render(tag, query="flour").startswith("Take &lt;b&gt;<mark>flour</mark>&lt;/b&gt; and …")
    tag = SEARCH + "{% for one in found %}{% search_excerpt one mark=False %}{% endfor %}"
    assert render(tag, query="flour").startswith(
        "Take &lt;b&gt;flour&lt;/b&gt; and water, and wait."
    )


def test_an_object_that_no_search_found_has_an_empty_excerpt(article, render, settings, caplog):
    page = article("Loaf", "<p>Take flour and water.</p>")
    for settings.DEBUG in (True, False):
        assert render("[{% search_excerpt page %}]", page=page) == "[]"
    assert caplog.text == ""


@pytest.mark.parametrize("query", ["", " ", None])
def test_a_blank_query_finds_nothing(query, articles, render):
    assert render(SEARCH, query=query) == ""


def test_what_is_in_no_index_has_no_similar_ones(articles, article, render):
    assert render(SIMILAR, page=article("Draft", live=False)) == ""
    assert render(SIMILAR, page=ArticlePage(title="New")) == ""


def test_the_request_tells_who_may_see_what(article, bring_up_to_date, render, monkeypatch):
    monkeypatch.setattr(type(ArticlePage.vector_index), "include_private", True)
    page = article("Sourdough", "<p>flour</p>")
    group = Group.objects.create(name="Bakers")
    restriction = PageViewRestriction.objects.create(
        page=page, restriction_type=PageViewRestriction.GROUPS
    )
    restriction.groups.add(group)
    bring_up_to_date("ArticlePage")
    request = RequestFactory().get("/")
    request.session = {}
    request.user = User.objects.create(username="baker")
    assert render(SEARCH, request, query="flour") == ""
    request.user.groups.add(group)
    assert render(SEARCH, request, query="flour").startswith("Sourdough")
    assert render(SEARCH, query="flour") == ""


@pytest.mark.parametrize("debug", [True, False])
def test_an_index_that_is_not_built_finds_nothing(debug, root, render, settings, caplog):
    settings.DEBUG = debug
    assert render(SEARCH, query="flour") == ""
    assert "Run: manage.py update_vector_indexes testapp.ArticlePage" in caplog.text


@pytest.mark.parametrize("debug", [True, False])
def test_an_index_that_is_outdated_finds_nothing(debug, articles, render, settings, caplog):
    settings.DEBUG = debug
    Collection.objects.update(fingerprint="another model")
    assert render(SIMILAR, page=articles[0]) == ""
    assert "was built with other settings" in caplog.text


@pytest.mark.parametrize("debug", [True, False])
def test_services_that_are_down_find_nothing(
    debug, server, articles, embedder, render, settings, caplog
):
    def fail(error):
        def before(*arguments, **named):
            raise error

        return before

    settings.DEBUG = debug
    server._search = fail(BackendUnavailable("no database there"))
    assert render(SIMILAR, page=articles[0]) == ""
    embedder.before = fail(EmbeddingUnavailable("the model is down"))
    assert render(SEARCH, query="flour") == ""
    assert "no database there" in caplog.text
    assert "the model is down" in caplog.text


MISTAKES = {
    '{% vector_search "flour" "Nothing" as found %}': InvalidIndex,
    '{% vector_search "flour" "ArticlePage" limit=0 as found %}': InvalidQuery,
    '{% vector_search "flour" nothing as found %}': InvalidIndex,
    '{% vector_search "flour" as found %}': InvalidIndex,
    '{% vector_search "flour" "ArticlePage" treshold=0.3 as found %}': InvalidQuery,
    "{% vector_similar nothing as found %}": InvalidQuery,
    "{% vector_similar page nearest=3 as found %}": InvalidQuery,
    "{% search_excerpt nothing %}": InvalidQuery,
}


@pytest.mark.parametrize("tag", MISTAKES)
def test_mistakes_are_raised_with_debug_alone(tag, articles, render, settings, caplog):
    assert render(tag, page=articles[0], nothing=None) == ""
    assert "A template tag found nothing because of a mistake." in caplog.text
    settings.DEBUG = True
    with pytest.raises(MISTAKES[tag]):
        render(tag, page=articles[0], nothing=None)


def test_an_index_may_change_its_search(articles, render, monkeypatch):
    """Its method may take any arguments, and more than others."""
    search, similar = VectorIndex.search, VectorIndex.find_similar

    def louder(self, query, **arguments):
        return search(self, query.removesuffix("!"), **arguments)

    def nearer(self, instance, *, only_near=False, **arguments):
        return similar(self, instance, **arguments, similarity_threshold=0.1 if only_near else None)

    kind = type(ArticlePage.vector_index)
    monkeypatch.setattr(kind, "search", louder, raising=False)
    monkeypatch.setattr(kind, "find_similar", nearer, raising=False)
    assert render(SEARCH, query="flour water sugar!").startswith("Cake 0.9|")
    assert render("{% vector_similar page only_near=True as found %}", page=articles[0]).startswith(
        "Cake 0."
    )


@pytest.mark.parametrize("tag", [SEARCH, "{% vector_similar page only_near=True as found %}"])
def test_an_index_whose_search_takes_fewer_arguments_is_a_mistake(
    tag, articles, render, monkeypatch, caplog
):
    kind = type(ArticlePage.vector_index)
    monkeypatch.setattr(kind, "search", lambda self, query, limit=10: [], raising=False)
    assert render(tag, query="flour", page=articles[0]) == ""
    assert "There is no argument" in caplog.text


def test_an_argument_that_a_search_does_not_have_is_named(articles, render, settings):
    settings.DEBUG = True
    tag = '{% vector_search "flour" "ArticlePage" similarity_treshold=0.3 as found %}'
    with pytest.raises(InvalidQuery, match="Did you mean 'similarity_threshold'"):
        render(tag)


# Related pages where several indexes contain the page


class MixedIndex(VectorIndex):
    """Pages and notes together."""

    name = "mixed"
    querysets = [ArticlePage.objects.all(), EventPage.objects.all(), Note.objects.all()]
    embedding_fields = [EmbeddingField("title")]


class OtherIndex(MixedIndex):
    name = "other"


@pytest.fixture
def declare(monkeypatch):
    """Declares more indexes, and builds them."""

    def run(*indexes):
        known = registry.all_indexes()
        monkeypatch.setattr(registry, "all_indexes", lambda: [*indexes, *known])
        for index in indexes:
            update(index)

    return run


LINKS = (
    "{% load wagtailcore_tags %}{% for one in found %}"
    '<a href="{% pageurl one %}">{{ one.title }}</a>{% endfor %}'
)


def test_related_pages_are_those_of_the_models_own_index(articles, render, declare, rf):
    Note.objects.create(text="flour water salt")
    declare(MixedIndex())
    assert render(SIMILAR + LINKS, rf.get("/"), page=articles[0]).startswith("<a href")
    bare = Page.objects.get(pk=articles[0].pk)
    assert render(SIMILAR, page=bare).startswith("Cake 0.")


@pytest.mark.parametrize("tag", [SIMILAR, '{% vector_similar page "mixed" limit=9 as found %}'])
def test_only_pages_are_related_to_a_page(tag, root, render, declare, rf):
    fair = root.add_child(instance=EventPage(title="Flour fair", place="hall"))
    root.add_child(instance=EventPage(title="Flour market", place="square"))
    for number in range(30):
        Note.objects.create(text=f"flour fair {number}")
    declare(MixedIndex())
    html = render(tag + LINKS, rf.get("/"), page=fair)
    assert html.startswith('<a href="/flour-market/">Flour market</a>')
    assert html.count("<a") == 1
    filtered = tag.replace(" as found", " filter=filter as found")
    assert render(filtered, page=fair, filter=Q(model="testapp.note")) == ""


def test_several_indexes_need_a_name(root, render, declare, settings, caplog):
    settings.DEBUG = True
    fair = root.add_child(instance=EventPage(title="Flour fair", place="hall"))
    root.add_child(instance=EventPage(title="Flour market", place="square"))
    declare(MixedIndex(), OtherIndex())
    with pytest.raises(InvalidQuery, match=r'mixed and other\. Name one .* index="mixed" %}'):
        render(SIMILAR, page=fair)
    assert render('{% vector_similar page "other" as found %}', page=fair).startswith("Flour m")
    settings.DEBUG = False
    assert render(SIMILAR, page=fair) == ""
    assert "is in the indexes mixed and other" in caplog.text


def test_related_pages_in_the_visitors_language(articles, article, bring_up_to_date, render):
    dutch = Locale.objects.create(language_code="nl")
    article("Roggebrood", "<p>flour water salt</p>", locale=dutch)
    bring_up_to_date("ArticlePage")
    tag = "{% vector_similar page active_locale=True as found %}"
    assert "Roggebrood" in render(SIMILAR, page=articles[0])
    assert "Roggebrood" not in render(tag, page=articles[0])
    with override("nl"):
        assert render(tag, page=articles[0]).startswith("Roggebrood")
        assert render(tag, page=articles[0]).count("|") == 1
        within = tag.replace("active_locale", "within=within active_locale")
        assert render(within, page=articles[0], within=Page.objects.none()) == ""


def test_what_has_no_language_is_a_mistake(render, settings, bring_up_to_date, db):
    settings.DEBUG = True
    note = Note.objects.create(text="salt")
    bring_up_to_date("Note")
    with pytest.raises(InvalidQuery, match=r"translatable model, not testapp\.Note"):
        render("{% vector_similar page active_locale=True as found %}", page=note)
