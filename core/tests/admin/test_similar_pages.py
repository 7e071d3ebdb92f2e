"""What the editor of a page sees of similar ones: a panel, and a button."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from wagtail.models import PageViewRestriction

from tests.testapp.models import ArticlePage, EventPage, Note
from tests.testapp.vector_indexes import SiteIndex
from wagtail_vector_index.admin.panels import SimilarPagesPanel
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.indexes import registry
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.models import Collection

pytestmark = pytest.mark.django_db

ARTICLES = "testapp.ArticlePage"
UNAVAILABLE = "Similar pages cannot be shown at the moment."


@pytest.fixture
def edit(browse, editor):
    """A client of the editor's."""
    return browse(editor)


def editor_of(page):
    return reverse("wagtailadmin_pages:edit", args=[page.pk])


def test_the_list_names_similar_pages_with_score_and_link(edit, at, articles):
    response = edit.get(at("similar_list", articles[0].pk))
    titles = [found.title for found in response.context["similar"]]
    assert titles[0] == "Cake"
    assert "Sourdough" not in titles
    assert editor_of(articles[1]) in response.text
    assert f"{response.context['similar'][0].score:.2f}" in response.text


def test_titles_that_cannot_be_made_are_listed_as_keys(edit, at, articles, no_titles):
    response = edit.get(at("similar_list", articles[0].pk))
    titles = [found.title for found in response.context["similar"]]
    assert titles[0] == f"wagtailcore.page:{articles[1].pk}"


def test_the_page_of_its_own_shows_the_same(edit, at, articles):
    response = edit.get(at("similar", articles[0].pk))
    assert "Cake" in response.text
    assert "Sourdough" in response.text
    assert editor_of(articles[0]) in response.text


def test_the_editor_of_a_page_waits_for_nothing(edit, at, articles, server):
    def never(*arguments, **named):
        raise AssertionError("the editor asked the vector backend")

    server._search = never
    text = edit.get(editor_of(articles[0])).text
    assert at("similar_list", articles[0].pk) in text
    assert "wagtail_vector_index/similar_pages.js" in text


def test_a_broken_index_takes_the_button_from_no_page_of_another(edit, at, articles, monkeypatch):
    class Broken(SiteIndex):
        name = "broken"

        def get_querysets(self):
            raise ArticlePage.DoesNotExist

    known = registry.all_indexes()
    everything = "wagtail_vector_index.admin.buttons.all_indexes"
    monkeypatch.setattr(everything, lambda: [Broken(), *known])
    assert f'"{at("similar", articles[0].pk)}"' in edit.get(editor_of(articles[0])).text
    monkeypatch.setattr(everything, lambda: [Broken()])
    assert f'"{at("similar", articles[0].pk)}"' not in edit.get(editor_of(articles[0])).text


def test_a_page_that_is_made_has_none_yet(browse, superuser, root):
    address = reverse("wagtailadmin_pages:add", args=["testapp", "articlepage", root.pk])
    assert "once this page is published" in browse(superuser).get(address).text


def test_a_page_that_is_in_no_index_is_told(edit, at, articles, article):
    draft = article("Soup", live=False)
    for page in (draft, articles[0].get_parent()):
        text = edit.get(at("similar_list", page.pk)).text
        assert "This page is not in a vector index" in text


def test_what_the_editor_may_not_see_is_not_listed(edit, at, articles):
    PageViewRestriction.objects.create(
        page=articles[1], restriction_type=PageViewRestriction.GROUPS
    )
    assert "Cake" not in edit.get(at("similar_list", articles[0].pk)).text


def test_what_the_editor_may_not_edit_leads_to_the_site(edit, at, articles, editor):
    permission = editor.groups.first().page_permissions.get()
    permission.page = articles[0]
    permission.save()
    text = edit.get(at("similar_list", articles[0].pk)).text
    assert editor_of(articles[1]) not in text
    assert articles[1].full_url in text


@pytest.mark.parametrize(
    "error", [BackendUnavailable("no database there"), ZeroDivisionError("s3cr3t")]
)
def test_a_backend_that_is_down_is_a_short_message(error, edit, at, server, articles, caplog):
    def fail(*arguments, **named):
        raise error

    server._search = fail
    response = edit.get(at("similar_list", articles[0].pk))
    assert response.status_code == 200
    assert UNAVAILABLE in response.text
    assert str(error) not in response.text
    assert str(error) in caplog.text


def test_an_index_of_another_model_is_a_short_message(edit, at, articles):
    Collection.objects.filter(index=ARTICLES).update(fingerprint="another model")
    assert UNAVAILABLE in edit.get(at("similar_list", articles[0].pk)).text


def test_a_page_that_is_not_there_is_not_found(edit, at, root):
    assert edit.get(at("similar", 999_999)).status_code == 404


def test_the_button_is_on_pages_of_a_type_that_is_indexed(edit, at, articles, root):
    event = root.add_child(instance=EventPage(title="Fair", place="market"))
    for page in (articles[0], event):
        assert at("similar", page.pk) in edit.get(editor_of(page)).text
    assert at("similar", root.pk) not in edit.get(editor_of(root)).text


def test_the_button_is_for_those_who_may_edit(browse, editor, at, articles):
    client = browse(editor)
    explorer = reverse("wagtailadmin_explore", args=[articles[0].pk])
    assert at("similar", articles[0].pk) in client.get(explorer).text
    permission = editor.groups.first().page_permissions.get()
    permission.page = articles[1]
    permission.save()
    response = browse(editor).get(explorer, follow=True)
    assert at("similar", articles[0].pk) not in response.text


def test_an_index_that_is_declared_wrongly_takes_no_editor_down(edit, at, articles, monkeypatch):
    monkeypatch.setattr(ArticlePage, "embedding_fields", ["title"])
    monkeypatch.delitem(ArticlePage.vector_index.__dict__, "configuration", raising=False)
    assert edit.get(editor_of(articles[0])).status_code == 200


def test_querysets_that_raise_take_no_editor_down(edit, at, articles, monkeypatch):
    def broken(self):
        raise ZeroDivisionError("of a site's own code")

    monkeypatch.setattr(SiteIndex, "get_querysets", broken)
    monkeypatch.delitem(get_index("SiteIndex").__dict__, "configuration", raising=False)
    assert edit.get(editor_of(articles[0])).status_code == 200


def test_the_panel_is_for_pages():
    with pytest.raises(ImproperlyConfigured, match=r"testapp\.Note is not a page model"):
        SimilarPagesPanel().bind_to_model(Note)


def test_the_panel_can_be_given_another_heading():
    panel = SimilarPagesPanel(heading="Look at these").bind_to_model(ArticlePage)
    assert panel.heading == "Look at these"
    assert str(SimilarPagesPanel().heading) == "Similar pages"


def test_the_panel_and_the_list_can_name_an_index(edit, at, articles, bring_up_to_date):
    panel = SimilarPagesPanel(index="SiteIndex").bind_to_model(ArticlePage)
    assert panel.clone().index == "SiteIndex"
    bound = panel.get_bound_panel(instance=articles[0])
    assert bound.list_url == at("similar_list", articles[0].pk) + "?index=SiteIndex"
    assert UNAVAILABLE in edit.get(bound.list_url).text
    bring_up_to_date("SiteIndex")
    assert "Cake" in edit.get(bound.list_url).text
    wrong = edit.get(at("similar_list", articles[0].pk) + "?index=Nothing").text
    assert "is not a vector index" in wrong


def test_the_list_says_which_index_to_name(edit, at, root, bring_up_to_date, monkeypatch):
    fair = root.add_child(instance=EventPage(title="Fair", place="market"))
    known = registry.all_indexes()
    other = type("OtherIndex", (SiteIndex,), {"name": "other"})()
    monkeypatch.setattr(registry, "all_indexes", lambda: [other, *known])
    bring_up_to_date("other", "SiteIndex")
    text = edit.get(at("similar_list", fair.pk)).text
    assert "SimilarPagesPanel(index=&quot;other&quot;)" in text
