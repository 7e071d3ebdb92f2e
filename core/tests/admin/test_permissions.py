"""Who gets to which page of the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from wagtail import hooks
from wagtail.models import GroupPagePermission

from wagtail_vector_index.admin.viewset import VectorIndexViewSet
from wagtail_vector_index.models import Collection

pytestmark = pytest.mark.django_db

MANAGERS_PAGES = ["index", "detail", "rebuild", "search"]
EDITORS_PAGES = ["similar", "similar_list"]
REQUESTS = [*((name, "get") for name in MANAGERS_PAGES), ("rebuild", "post")]

everything = pytest.mark.parametrize(("name", "method"), REQUESTS)


def test_every_page_is_tried_here():
    names = {pattern.name for pattern in VectorIndexViewSet().get_urlpatterns()}
    assert names == {*MANAGERS_PAGES, *EDITORS_PAGES}


def is_sent_to(response, url_name):
    return response.status_code == 302 and response.url.startswith(reverse(url_name))


@everything
def test_anonymous_visitors_must_log_in(name, method, at, articles):
    assert is_sent_to(getattr(Client(), method)(at(name)), "wagtailadmin_login")


@everything
def test_users_without_the_admin_must_log_in(name, method, at, articles, browse):
    client = browse(User.objects.create(username="member"))
    assert is_sent_to(getattr(client, method)(at(name)), "wagtailadmin_login")


@everything
def test_editors_are_refused(name, method, at, articles, browse, editor):
    built = Collection.objects.get(index="testapp.ArticlePage").name
    call = getattr(browse(editor), method)
    assert is_sent_to(call(at(name)), "wagtailadmin_home")
    assert call(at(name), headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 403
    assert Collection.objects.get(index="testapp.ArticlePage").name == built


@pytest.mark.parametrize("name", MANAGERS_PAGES)
def test_managers_and_superusers_are_let_in(name, at, articles, browse, manager, superuser):
    for user in (manager, superuser):
        assert browse(user).get(at(name)).status_code == 200


def test_the_menu_is_for_managers(browse, editor, manager, at):
    home = reverse("wagtailadmin_home")
    assert at("index") not in browse(editor).get(home).text
    assert at("index") in browse(manager).get(home).text


def test_groups_can_be_given_the_permission(db):
    granted = [hook() for hook in hooks.get_hooks("register_permissions")]
    codenames = {permission.codename for some in granted for permission in some}
    assert "manage_collection" in codenames


@pytest.mark.parametrize("name", EDITORS_PAGES)
def test_similar_pages_are_for_those_who_may_edit_the_page(name, at, articles, browse, editor):
    address = at(name, articles[0].pk)
    assert is_sent_to(Client().get(address), "wagtailadmin_login")
    assert browse(editor).get(address).status_code == 200
    GroupPagePermission.objects.all().delete()
    assert is_sent_to(browse(editor).get(address), "wagtailadmin_home")
