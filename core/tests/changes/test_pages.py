"""What Wagtail does to pages, and what of it comes into the outbox."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from wagtail.actions.copy_page import CopyPageAction
from wagtail.models import Locale, Page, PageViewRestriction
from wagtail.signals import pre_page_move

from tests.testapp.models import ArticlePage, EventPage, Secrecy
from wagtail_vector_index.changes import receivers
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.expanding import expand
from wagtail_vector_index.models import PendingChange

ARTICLES, SITE = "testapp.ArticlePage", "testapp.SiteIndex"


def both(*keys):
    return {ARTICLES: sorted(keys), SITE: sorted(keys)}


def key(page):
    return object_key(page)


@pytest.fixture
def draft(article):
    return article("Draft", live=False)


def test_adding(root, noted):
    page = ArticlePage(title="New")
    assert noted(root.add_child, instance=page) == both(key(page))


def test_adding_a_page_of_another_index(root, noted):
    page = EventPage(title="New", place="here")
    assert noted(root.add_child, instance=page) == {SITE: [key(page)]}


def test_adding_a_draft(root, noted):
    assert noted(root.add_child, instance=ArticlePage(title="New", live=False)) == {}


def test_adding_a_page_that_is_in_no_index(root, noted):
    assert noted(root.add_child, instance=Page(title="New")) == {}


def test_saving_a_draft(article, noted):
    page = article("Bread")
    page.title = "Cake"
    assert noted(page.save_revision) == {}


def test_publishing(article, noted):
    page = article("Bread")
    page.title = "Cake"
    assert noted(page.save_revision().publish) == both(key(page))


def test_publishing_a_draft(draft, noted):
    assert noted(draft.save_revision().publish) == both(key(draft))


def test_going_live_on_schedule(draft, noted):
    draft.go_live_at = timezone.now() + dt.timedelta(days=1)
    draft.save_revision().publish()
    revision = draft.latest_revision
    revision.approved_go_live_at = timezone.now() - dt.timedelta(minutes=1)
    revision.content["go_live_at"] = None
    revision.save()
    assert noted(call_command, "publish_scheduled") == both(key(draft))


def test_expiring(article, noted):
    page = article("Bread", expire_at=timezone.now() - dt.timedelta(minutes=1))
    assert noted(call_command, "publish_scheduled") == both(key(page))


def test_unpublishing(article, noted):
    page = article("Bread")
    assert noted(page.unpublish) == both(key(page))


def test_deleting_a_tree(article, noted):
    top = article("Bread")
    below = article("Rye", parent=top)
    assert noted(Page.objects.get(pk=top.pk).delete) == both(key(top), key(below))


def test_deleting_a_queryset(article, noted):
    pages = [article(title) for title in ("Bread", "Rye")]
    found = Page.objects.filter(pk__in=[page.pk for page in pages])
    assert noted(found.delete) == both(*map(key, pages))


def test_moving(article, noted):
    """Nothing of these indexes depends on where a page is."""
    top, other = article("Bread"), article("Rye")
    article("Loaf", parent=top)
    assert noted(top.move, other, pos="last-child") == {}


def test_moving_where_something_is_private(article, noted):
    top, other = article("Bread"), article("Rye")
    below = article("Loaf", parent=top)
    PageViewRestriction.objects.create(page=other, restriction_type="login")
    assert noted(top.move, other, pos="last-child") == both(f"{key(top)}/")
    for name in (ARTICLES, SITE):
        expand(get_index(name))
    rows = PendingChange.objects.values_list("object_key", flat=True)
    assert sorted(set(rows)) == sorted([key(top), key(below)])


def test_a_restriction_that_a_proxy_saves_and_deletes(article, noted):
    page = article("Bread")
    secrecy = Secrecy(page=page, restriction_type="login")
    assert noted(secrecy.save) == both(f"{key(page)}/")
    assert noted(secrecy.delete) == both(f"{key(page)}/")


def test_saving_after_a_move_that_was_refused(article, noted):
    top, other = article("Top"), article("Other")

    def refuse(**kwargs):
        raise PermissionDenied

    pre_page_move.connect(refuse)
    try:
        with pytest.raises(PermissionDenied):
            top.move(other, pos="last-child")
    finally:
        pre_page_move.disconnect(refuse)
    # As pages are saved that expire.
    assert noted(Page.objects.get(pk=top.pk).unpublish) == both(key(top))


def test_saving_after_a_move(article, noted):
    top, other = article("Bread"), article("Rye")
    top.move(other, pos="last-child")
    assert noted(ArticlePage.objects.get(pk=top.pk).save) == both(key(top))


@pytest.fixture
def addresses(monkeypatch):
    """The indexes embed the addresses of pages."""
    monkeypatch.setattr(receivers, "depends_on_tree", lambda index: True)


def test_a_new_slug(article, noted, addresses):
    page = article("Bread")
    page.slug = "cake"
    assert noted(page.save_revision().publish) == both(key(page), f"{key(page)}/")
    page.title = "Cake"
    assert noted(page.save_revision().publish) == both(key(page))


def test_a_new_slug_of_a_page_that_is_in_no_index(root, noted, addresses):
    page = root.add_child(instance=Page(title="Section"))
    page.slug = "part"
    assert noted(page.save) == both(f"{key(page)}/")


def test_a_new_slug_where_no_index_reads_addresses(article, noted):
    page = article("Bread")
    page.slug = "cake"
    assert noted(page.save_revision().publish) == both(key(page))


def test_a_new_slug_that_could_not_be_saved(article, noted, addresses):
    page = article("Bread")
    page.slug, page.depth = "cake", None
    with pytest.raises(IntegrityError), transaction.atomic():
        page.save(clean=False)
    page = ArticlePage.objects.get(pk=page.pk)
    assert noted(page.save) == both(key(page))


def test_copying(article, noted, root):
    top = article("Bread")
    article("Loaf", parent=top)
    action = CopyPageAction(
        top, to=root, recursive=True, update_attrs={"slug": "copy"}, keep_live=True
    )
    seen = noted(action.execute)
    copies = ArticlePage.objects.filter(path__startswith=Page.objects.get(slug="copy").path)
    assert seen == both(*map(key, copies))
    assert len(copies) == 2


def test_aliases(article, noted, root):
    page = article("Bread")
    made = []
    create = noted(lambda: made.append(page.create_alias(update_slug="alias", parent=root)))
    assert create == both(key(made[0]))
    page.title = "Cake"
    assert noted(page.save_revision().publish) == both(key(page), key(made[0]))
    alias = ArticlePage.objects.get(pk=made[0].pk)
    from wagtail.actions.convert_alias import ConvertAliasPageAction

    editor = get_user_model().objects.create_superuser("editor")
    assert noted(ConvertAliasPageAction(alias, user=editor).execute) == both(key(alias))


def test_copy_for_translation(article, noted, root):
    dutch = Locale.objects.create(language_code="nl")
    root.copy_for_translation(dutch)
    page = article("Bread")
    made = []
    assert noted(lambda: made.append(page.copy_for_translation(dutch))) == {}
    assert noted(made[0].save_revision().publish) == both(key(made[0]))


def test_restricting(article, noted):
    top = article("Bread")
    below = article("Loaf", parent=top)
    alias = top.create_alias(update_slug="alias")
    under_alias = article("Crumb", parent=alias)
    made = []
    restrict = noted(
        lambda: made.append(
            PageViewRestriction.objects.create(page=top, restriction_type="password", password="x")
        )
    )
    assert restrict == both(f"{key(top)}/")
    expand(get_index(ARTICLES))
    rows = PendingChange.objects.filter(index=ARTICLES).values_list("object_key", flat=True)
    assert sorted(rows) == sorted(map(key, (top, below, alias, under_alias)))
    assert noted(made[0].delete) == both(f"{key(top)}/")


def test_rolled_back(article, noted):
    page = article("Bread")

    def change_and_fail():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            page.title = "Cake"
            page.save_revision().publish()
            raise ZeroDivisionError

    assert noted(change_and_fail) == {}


def test_switched_off(article, noted, settings):
    page = article("Bread")
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    assert noted(page.save) == noted(page.unpublish) == noted(page.delete) == {}
