"""Whatever editors do, nobody finds what they may not see, or misses what they may.

`LEAK_TEST_SEQUENCES` says how many sequences of changes are tried.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wagtail.actions.convert_alias import ConvertAliasPageAction
from wagtail.models import Page, PageViewRestriction

from tests.testapp.models import ArticlePage
from wagtail_vector_index.changes import receivers
from wagtail_vector_index.changes.interests import Interest
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import apply_changes, update

pytestmark = pytest.mark.django_db

SEQUENCES = int(os.environ.get("LEAK_TEST_SEQUENCES", "12"))
ALL = 200
PASSED = PageViewRestriction.passed_view_restrictions_session_key


class OpenIndex(VectorIndex):
    """Articles that everybody may see."""

    name = "open"
    querysets = [ArticlePage.objects.all()]


class PrivateIndex(OpenIndex):
    """Articles, whoever may see them."""

    name = "private"
    include_private = True


INDEXES = [OpenIndex(), PrivateIndex()]
CHANGES: dict[str, Callable[..., Any]] = {}


def change(function: Callable[..., Any]) -> Callable[..., Any]:
    CHANGES[function.__name__] = function
    return function


@change
def publish(site, page, other):
    if page.alias_of_id:
        return
    page.intro = f"<p>bread {page.pk} once more</p>"
    page.save_revision().publish()


@change
def draft(site, page, other):
    if not page.alias_of_id:
        page.title = "a draft of bread"
        page.save_revision()


@change
def add(site, page, other):
    page.add_child(instance=ArticlePage(title=f"new {site.number()}", intro="<p>bread</p>"))


@change
def unpublish(site, page, other):
    page.unpublish()


@change
def restrict(site, page, other, kind="login"):
    restriction = PageViewRestriction.objects.create(
        page=page, restriction_type=kind, password="x" if kind == "password" else ""
    )
    if kind == "groups":
        restriction.groups.add(site.group)


@change
def restrict_to_a_group(site, page, other):
    restrict(site, page, other, "groups")


@change
def restrict_by_password(site, page, other):
    restrict(site, page, other, "password")


@change
def loosen(site, page, other):
    restriction = page.view_restrictions.first()
    if restriction is not None:
        restriction.restriction_type = PageViewRestriction.NONE
        restriction.save()


@change
def unrestrict(site, page, other):
    for restriction in page.view_restrictions.all():
        restriction.delete()


@change
def move(site, page, other):
    if other != page and not other.is_descendant_of(page):
        page.move(other, "last-child")


@change
def expire(site, page, other):
    Page.objects.filter(pk=page.pk).update(expire_at=timezone.now() - timedelta(minutes=1))


@change
def prolong(site, page, other):
    page.expire_at = None
    page.save()


@change
def delete(site, page, other):
    if ArticlePage.objects.count() > 3:
        page.delete()


@change
def alias(site, page, other):
    if other != page and not other.is_descendant_of(page):
        page.create_alias(parent=other, update_slug=f"alias-{site.number()}", recursive=True)


@change
def convert(site, page, other):
    if page.alias_of_id:
        ConvertAliasPageAction(page).execute(skip_permission_checks=True)


@change
def copy(site, page, other):
    if other != page and not other.is_descendant_of(page):
        page.copy(to=other, update_attrs={"slug": f"copy-{site.number()}"}, recursive=True)


@change
def tell_password(site, page, other):
    restrictions = PageViewRestriction.objects.order_by("pk")
    if found := restrictions.filter(restriction_type="password").last():
        site.visitors["password"].session.setdefault(PASSED, []).append(found.pk)


@change
def join(site, page, other):
    site.visitors["member"].user.groups.add(site.group)


@change
def leave(site, page, other):
    site.visitors["member"].user.groups.clear()


class TheSite:
    """A small site, its visitors, and what may be seen by the rule, page by page."""

    def __init__(self, home: Page) -> None:
        self.group = Group.objects.create(name="staff")
        users = {name: User.objects.create_user(name) for name in ("reader", "member")}
        users["editor"] = User.objects.create_superuser("editor")
        users |= {"anonymous": AnonymousUser(), "password": AnonymousUser()}
        self.visitors = {
            name: SimpleNamespace(user=user, session={}) for name, user in users.items()
        }
        self._count = 0
        self._stale = False
        for _ in range(3):
            section = home.add_child(
                instance=ArticlePage(title=f"section {self.number()}", intro="<p>bread</p>")
            )
            add(self, section, None)

    def number(self) -> int:
        self._count += 1
        return self._count

    def do(self, name: str, first: int, second: int) -> None:
        if name == "drain":
            for index in INDEXES:
                apply_changes(index)
            return
        pages = list(ArticlePage.objects.order_by("path"))
        CHANGES[name](self, pages[first % len(pages)], pages[second % len(pages)])

    def allowed(self, visitor: Any) -> set[int]:
        return {
            page.pk
            for page in ArticlePage.objects.live()
            if not (page.expire_at and page.expire_at <= timezone.now())
            and all(r.accept_request(visitor) for r in page.get_view_restrictions())
        }

    def check(self, *, complete: bool) -> None:
        everybodys = self.allowed(self.visitors["anonymous"])
        for name, visitor in self.visitors.items():
            allowed = self.allowed(visitor)
            for index in INDEXES if complete else INDEXES[1:]:
                found = self.found(index, visitor, ALL)
                assert found <= allowed, f"{name} sees what is not for them"
                if complete:
                    expected = allowed if index.include_private else everybodys
                    assert found == expected, f"{name} misses what is there"
                    few = self.found(index, visitor, 2)
                    assert few <= expected
                    assert len(few) == min(2, len(expected))

    def found(self, index: VectorIndex, visitor: Any, limit: int) -> set[int]:
        return {page.pk for page in index.search("bread", limit=limit, request=visitor)}


STEPS = st.lists(
    st.tuples(st.sampled_from([*CHANGES, "drain"]), st.integers(0, 20), st.integers(0, 20)),
    min_size=1,
    max_size=12,
)


@pytest.mark.once
def test_no_sequence_of_changes_shows_too_much_or_too_little(root, settings):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    interests = [Interest(index=index, model=ArticlePage, fields=None) for index in INDEXES]
    heard = receivers.Receivers({ArticlePage: interests, Page: interests})
    heard.connect()
    _try_sequences(root)


def _try_sequences(root: Page) -> None:
    @settings(
        max_examples=SEQUENCES,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(STEPS)
    def try_sequence(steps):
        with transaction.atomic():
            site = TheSite(Page.objects.get(pk=root.pk))
            for index in INDEXES:
                update(index)
            for step in steps:
                site.do(*step)
                site.check(complete=False)
            site.do("drain", 0, 0)
            site.check(complete=True)
            transaction.set_rollback(True)

    try_sequence()
