"""People who use the admin, and what they look at."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from wagtail.models import GroupPagePermission

from tests.testapp.models import ArticlePage


@pytest.fixture
def person(root):
    """Makes a user who may use the admin and edit all pages below the home page."""

    def make(name, *codenames):
        group, _ = Group.objects.get_or_create(name="Editors")
        group.permissions.add(Permission.objects.get(codename="access_admin"))
        change = Permission.objects.get(
            content_type__app_label="wagtailcore", codename="change_page"
        )
        GroupPagePermission.objects.get_or_create(group=group, page=root, permission=change)
        user = User.objects.create(username=name)
        user.groups.add(group)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return user

    return make


@pytest.fixture
def editor(person):
    """May edit pages, and not look after vector indexes."""
    return person("editor")


@pytest.fixture
def manager(person):
    """May look after vector indexes as well."""
    return person("manager", "manage_collection")


@pytest.fixture
def superuser(db):
    """May do anything."""
    return User.objects.create(username="superuser", is_superuser=True)


@pytest.fixture
def browse():
    """A client of this user's, or of nobody's."""

    def make(user=None):
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    return make


@pytest.fixture
def manage(browse, manager):
    """A client of the manager's."""
    return browse(manager)


@pytest.fixture
def articles(article, bring_up_to_date):
    """Three articles, indexed."""
    pages = [
        article("Sourdough", "<p>Flour, water and salt.</p>"),
        article("Cake", "<p>Flour, water and sugar.</p>"),
        article("Trams", "<p>Take line two to the harbour.</p>"),
    ]
    bring_up_to_date(ARTICLES)
    return pages


ARTICLES = ArticlePage.vector_index.name


@pytest.fixture
def no_titles(monkeypatch):
    """The titles of articles come from code that fails, as after the deletion of what it names."""

    def title(page):
        raise AttributeError("'NoneType' object has no attribute 'name'")

    monkeypatch.setattr(ArticlePage, "__str__", title)


@pytest.fixture
def at():
    """The address of a page of the section; by default, of the index of articles."""

    def address(view, *arguments):
        if view in {"detail", "rebuild", "search"}:
            arguments = arguments or (ARTICLES,)
        return reverse(f"wagtail_vector_index:{view}", args=arguments)

    return address
