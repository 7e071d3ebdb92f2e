"""What a visitor may see, and what a search therefore finds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.files.base import ContentFile
from django.test import RequestFactory
from django.urls import reverse
from wagtail.documents.models import Document as WagtailDocument
from wagtail.models import Collection, CollectionViewRestriction, Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import apply_changes, update
from wagtail_vector_index.models import EmbeddingField, PendingChange

pytestmark = pytest.mark.django_db


class PrivateIndex(VectorIndex):
    """Articles, whoever may see them."""

    name = "private"
    querysets = [ArticlePage.objects.all()]
    include_private = True


class FileIndex(VectorIndex):
    """Documents of Wagtail's, by their titles."""

    name = "files"
    querysets = [WagtailDocument.objects.all()]
    embedding_fields = [EmbeddingField("title")]


class PrivateFileIndex(FileIndex):
    """The same, with private ones."""

    name = "private_files"
    include_private = True


PRIVATE, FILES, PRIVATE_FILES = PrivateIndex(), FileIndex(), PrivateFileIndex()


def visit(user=None, passed=()):
    """A request, with the restrictions whose passwords were given in its session."""
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    request.session = SessionStore()
    key = PageViewRestriction.passed_view_restrictions_session_key
    request.session[key] = [restriction.pk for restriction in passed]
    return request


@pytest.fixture
def sections(article):
    """Four sections, each with a child: open, and restricted in each of three ways."""
    group = Group.objects.create(name="staff")
    made = {}
    for kind in ("none", "login", "groups", "password"):
        section = article(f"{kind} section", "<p>bread</p>")
        article(f"{kind} child", "<p>bread</p>", parent=section)
        made[kind] = PageViewRestriction.objects.create(
            page=section, restriction_type=kind, password="x" if kind == "password" else ""
        )
    made["groups"].groups.add(group)
    return SimpleNamespace(**made, group=group)


@pytest.fixture
def kinds():
    """The kinds of sections of which something is found, each of them whole."""

    def run(**viewer):
        titles = [str(page) for page in PRIVATE.search("bread", limit=20, **viewer)]
        found = {title.split()[0] for title in titles}
        assert len(titles) == 2 * len(found)
        return found

    return run


def test_each_visitor_finds_what_wagtail_would_show(sections, kinds):
    update(PRIVATE)
    reader, member = User.objects.create_user("reader"), User.objects.create_user("member")
    member.groups.add(sections.group)
    admin = User.objects.create_superuser("admin")
    assert kinds() == {"none"}
    assert kinds(user=AnonymousUser()) == {"none"}
    assert kinds(user=reader) == {"none", "login"}
    assert kinds(user=member) == {"none", "login", "groups"}
    assert kinds(user=admin) == {"none", "login", "groups"}
    assert kinds(request=visit(passed=[sections.password])) == {"none", "password"}
    assert kinds(request=visit(member)) == {"none", "login", "groups"}
    assert kinds(user=member, request=visit(passed=[sections.password])) == {
        "none", "login", "groups", "password",
    }  # fmt: skip
    assert kinds(request=RequestFactory().get("/")) == {"none"}


def test_private_text_is_embedded_only_where_the_index_says_so(sections, embedder):
    update(PRIVATE)
    assert sum("section" in text for text in embedder.texts) == 4
    embedder.texts.clear()
    without = type("Off", (PrivateIndex,), {"name": "off", "include_private": False})()
    update(without)
    assert without.search("bread", limit=20).count() == 2
    assert PRIVATE.search("bread", limit=20).count() == 2


def test_groups_are_read_anew_for_each_search(sections, kinds):
    update(PRIVATE)
    user = User.objects.create_user("member")
    assert kinds(user=user) == {"none", "login"}
    user.groups.add(sections.group)
    assert kinds(user=user) == {"none", "login", "groups"}
    user.groups.clear()
    assert kinds(user=user) == {"none", "login"}


def test_similar_pages_are_those_that_the_user_may_see(sections):
    update(PRIVATE)
    page = ArticlePage.objects.get(title="none child")
    reader = User.objects.create_user("reader")
    assert {str(found) for found in PRIVATE.find_similar(page)} == {"none section"}
    assert len(PRIVATE.find_similar(page, user=reader)) == 3


def test_a_restriction_of_the_sites_own_kind_is_asked(sections, kinds, monkeypatch):
    update(PRIVATE)
    monkeypatch.setattr(
        PageViewRestriction,
        "accept_request",
        lambda restriction, request: request.META.get("HTTP_X_TICKET") == "valid",
    )
    assert kinds(request=RequestFactory().get("/", HTTP_X_TICKET="valid")) == {
        "none", "login", "groups", "password",
    }  # fmt: skip


def test_an_alias_has_the_restrictions_of_its_source_alone(root, article):
    source = article("Source", "<p>bread</p>")
    alias = source.create_alias(parent=root, update_slug="alias")
    PageViewRestriction.objects.create(page=alias, restriction_type="login")
    update(PRIVATE)
    assert len(PRIVATE.search("bread")) == 2
    PageViewRestriction.objects.create(page=source, restriction_type="login")
    assert len(PRIVATE.search("bread")) == 0
    assert len(PRIVATE.search("bread", user=User.objects.create_user("reader"))) == 2


def test_the_root_of_the_tree_is_never_found(root):
    index = type("Pages", (VectorIndex,), {
        "name": "pages", "querysets": [Page.objects.all()],
        "embedding_fields": [EmbeddingField("title")],
    })()  # fmt: skip
    update(index)
    assert {page.title for page in index.search("Root Home")} == {"Home"}


def file(title, collection):
    document = WagtailDocument(title=title, collection=collection)
    document.file.save(f"{title}.txt", ContentFile(b"text"))
    return document


@pytest.fixture
def collections(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    root = Collection.get_first_root_node() or Collection.add_root(name="Root")
    secret = root.add_child(name="Secret")
    inner = secret.add_child(name="Inner")
    for title, collection in (("bread", root), ("bread two", secret), ("bread three", inner)):
        file(title, collection)
    return SimpleNamespace(root=root, secret=secret, inner=inner)


def test_files_follow_their_collections(collections):
    update(PRIVATE_FILES)
    assert len(PRIVATE_FILES.search("bread")) == 3
    CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    assert [str(found) for found in PRIVATE_FILES.search("bread")] == ["bread"]
    reader = User.objects.create_user("reader")
    assert len(PRIVATE_FILES.search("bread", user=reader)) == 3


def test_private_files_are_not_embedded(collections, embedder):
    CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    embedder.texts.clear()
    update(FILES)
    assert embedder.texts == ["bread"]


def test_a_restricted_collection_is_queued_with_all_below(collections, settings):
    from wagtail_vector_index.changes import receivers

    update(FILES)
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    heard = receivers.Receivers({WagtailDocument: [_interest()]})
    heard.connect()
    restriction = CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    assert PendingChange.objects.get(index="files").scope == "subtree"
    assert apply_changes(FILES).objects == 2
    restriction.delete()
    assert apply_changes(FILES).objects == 2
    assert len(FILES.search("bread")) == 3
    CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    apply_changes(FILES)
    collections.inner.move(collections.root, "sorted-child")
    Collection.objects.get(pk=collections.inner.pk).save()
    apply_changes(FILES)
    assert {str(found) for found in FILES.search("bread")} == {"bread", "bread three"}


@pytest.fixture
def heard(settings, monkeypatch):
    """As in a site with an index of files: what happens in the admin is heard of."""
    from wagtail_vector_index.changes import receivers

    update(FILES)
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    heard = receivers.Receivers({WagtailDocument: [_interest()]})
    heard.connect()
    monkeypatch.setattr(apps.get_app_config("wagtail_vector_index"), "receivers", heard)


def test_a_collection_that_is_moved_in_the_admin(collections, heard, admin_client):
    CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    apply_changes(FILES)
    assert [str(found) for found in FILES.search("bread")] == ["bread"]
    PendingChange.objects.all().delete_rows()
    admin_client.post(
        reverse("wagtailadmin_collections:edit", args=[collections.inner.pk]),
        {"name": "Inner", "parent": collections.root.pk},
    )
    apply_changes(FILES)
    assert {str(found) for found in FILES.search("bread")} == {"bread", "bread three"}


def test_files_that_are_put_into_another_collection_in_bulk(collections, heard, admin_client):
    """Wagtail does so by an update, which sends no signal."""
    CollectionViewRestriction.objects.create(
        collection=collections.secret, restriction_type="login"
    )
    apply_changes(FILES)
    hidden = WagtailDocument.objects.exclude(title="bread")
    ids = "&".join(f"id={pk}" for pk in hidden.values_list("pk", flat=True))
    url = reverse("wagtail_bulk_action", args=["wagtaildocs", "document", "add_to_collection"])
    admin_client.post(f"{url}?{ids}", {"collection": collections.root.pk})
    assert PendingChange.objects.filter(index=FILES.name).count() == 2
    apply_changes(FILES)
    assert len(FILES.search("bread")) == 3


def _interest():
    from wagtail_vector_index.changes.interests import Interest

    return Interest(index=FILES, model=WagtailDocument, fields=None)


@pytest.mark.once
def test_the_limit_is_met_however_rare_the_visible_at_a_bounded_number_of_queries(
    root, django_assert_max_num_queries
):
    """Of 6,000 pages nearer to the query, none may be seen, by 230 restrictions."""
    index = type("Pages", (VectorIndex,), {
        "name": "many", "querysets": [Page.objects.all()], "include_private": True,
        "embedding_fields": [EmbeddingField("title")],
    })()  # fmt: skip
    tops = [root.add_child(instance=Page(title=f"top {n}", slug=f"top-{n}")) for n in range(230)]
    kind = tops[0].content_type
    Page.objects.bulk_create(
        Page(
            title="bread", draft_title="bread", slug=f"page-{n}", content_type=kind, live=True,
            depth=4, path=f"{tops[n % 230].path}{n // 230 + 1:04d}", locale=root.locale,
            url_path=f"/{n}/",
        )
        for n in range(6_000)
    )  # fmt: skip
    for number in range(5):
        root.add_child(instance=Page(title=f"bread and more {number}", slug=f"rare-{number}"))
    for top in tops:
        PageViewRestriction.objects.create(page=top, restriction_type="login")
    update(index)
    index.search("anything").count()  # loads the copy in this process
    with django_assert_max_num_queries(16):
        assert len(list(index.search("bread", limit=5))) == 5
    with django_assert_max_num_queries(16):
        assert len(list(index.search("bread", limit=5, user=User.objects.create_user("u")))) == 5


def test_objects_that_are_no_pages_need_no_restrictions(django_assert_num_queries):
    Note.objects.create(text="bread")
    update(Note.vector_index)
    Note.vector_index.search("bread").count()
    with django_assert_num_queries(3):  # the collection, its documents, the objects
        assert Note.vector_index.search("bread").count() == 1
