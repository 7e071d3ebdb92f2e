"""Changes outside of a transaction, made by a process that ends before it notes them."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from wagtail.models import Collection as Folder
from wagtail.models import CollectionViewRestriction, PageViewRestriction

from tests.testapp.models import Author, Comment, Country, Note, Notice, Remote
from wagtail_vector_index.changes import noting, receivers, starting
from wagtail_vector_index.changes.interests import Interest
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import expanding
from wagtail_vector_index.indexing.dependencies import ReadingPath, Step
from wagtail_vector_index.indexing.draining import drain
from wagtail_vector_index.indexing.outbox import PROMISE_LIFE, append
from wagtail_vector_index.indexing.updating import apply_changes, update
from wagtail_vector_index.models import Document, PendingChange

NOTES, PINNED = "testapp.Note", "testapp.PinnedNote"
ARTICLES, SITE = "testapp.ArticlePage", "testapp.SiteIndex"


class Killed(BaseException):
    """Ends everything at once, as a signal does that kills a process."""


@pytest.fixture(autouse=True)
def _nothing_starts(transactional_db, monkeypatch):
    monkeypatch.setattr(starting, "_start", lambda index_name: None)


@pytest.fixture
def dying(monkeypatch):
    """Runs something in a process that is killed once its change is committed."""

    def run(action, *arguments, **named):
        PendingChange.objects.all().delete_rows()
        with monkeypatch.context() as patched:
            patched.setattr(receivers, "finish", killed)
            with suppress(Killed):
                action(*arguments, **named)

    return run


def killed(*arguments):
    raise Killed


def rows(**chosen):
    marks = {"object": "", "subtree": "/", "readers": "<", "index": "*"}
    found = PendingChange.objects.filter(**chosen).order_by("pk")
    return [row.object_key + marks[row.scope] for row in found]


def time_passes():
    for row in PendingChange.objects.all():
        PendingChange.objects.filter(pk=row.pk).update(next_attempt=row.next_attempt - PROMISE_LIFE)


def texts(name):
    """The texts that a search finds once the promises count, and nothing but they tell of them."""
    index = get_index(name)
    time_passes()
    apply_changes(index)
    assert not PendingChange.objects.filter(index=name).exists()
    return sorted(str(found) for found in index.search("bread cake tea"))


def test_an_object_that_is_saved(dying, embedder):
    note = Note.objects.create(text="bread")
    update(get_index(NOTES))
    note.text = "cake"
    dying(note.save)
    assert rows(index=NOTES) == [object_key(note)]
    assert texts(NOTES) == ["cake"]


def test_a_new_object(dying, embedder):
    Note.objects.create(text="bread")
    update(get_index(NOTES))
    dying(Note.objects.create, text="cake")
    assert rows(index=NOTES) == ["testapp.note*"]
    assert texts(NOTES) == ["bread", "cake"]


def test_a_new_object_with_a_key_of_its_own(dying, embedder):
    update(get_index("testapp.Country"))
    dying(Country.objects.create, code="nl", name="bread")
    assert rows() == ["testapp.country:nl"]


def test_an_object_that_others_read(dying, embedder):
    author = Author.objects.create(name="Ada")
    note = Note.objects.create(text="bread", author=author)
    update(get_index(NOTES))
    author.name = "Grace"
    dying(author.save)
    assert rows(index=NOTES) == [f"{object_key(author)}<"]
    time_passes()
    apply_changes(get_index(NOTES))
    assert list(Note.vector_index.search("bread", filter=Q(author="Grace"))) == [note]


@pytest.mark.parametrize("action", ["publish", "unpublish"])
def test_a_snippet(root, dying, embedder, action):
    notice = Notice.objects.create(text="bread", live=action == "unpublish", locale=root.locale)
    update(get_index("testapp.Notice"))
    dying(notice.save_revision().publish if action == "publish" else notice.unpublish)
    time_passes()
    apply_changes(get_index("testapp.Notice"))
    found = list(Notice.vector_index.search("bread"))
    assert found == ([notice] if action == "publish" else [])


def test_a_page_that_becomes_private(article, dying, embedder):
    top = article("Bread")
    article("Cake", parent=top)
    update(get_index(ARTICLES))
    dying(PageViewRestriction.objects.create, page=top, restriction_type="login")
    assert rows(index=ARTICLES) == [f"{object_key(top)}/"]
    time_passes()
    apply_changes(get_index(ARTICLES))
    assert not get_index(ARTICLES).search("bread", limit=1)
    assert not Document.objects.exclude(content="").exists()


def test_a_collection_that_becomes_private_or_moves(documents_index, dying):
    folder = Folder.objects.first() or Folder.add_root(name="Root")
    below = folder.add_child(name="Secret")
    dying(CollectionViewRestriction.objects.create, collection=below, restriction_type="login")
    assert rows() == [f"{object_key(below)}/"]
    dying(below.save)
    assert rows() == [f"{object_key(below)}/"]


@pytest.fixture
def documents_index(monkeypatch):
    """The index counts as one of members of collections."""
    monkeypatch.setattr(receivers, "collection_indexes", lambda interests: [get_index(NOTES)])


def test_a_tag_that_is_added_without_a_transaction(article, dying):
    """django-taggit adds to a relation in several transactions, one for each row."""
    from django.db.models.signals import m2m_changed

    from tests.testapp.models import ArticleTag

    page = article("Bread")

    def add():
        for action in ("pre_add", "post_add"):
            m2m_changed.send(
                ArticleTag, instance=page, action=action, reverse=False, pk_set={1}, using="default"
            )

    dying(add)
    assert rows(index=ARTICLES) == [object_key(page)]


def test_a_promise_is_replaced_by_the_change():
    note = Note.objects.create(text="bread")
    assert rows(index=NOTES, promise=None) == [object_key(note)]
    assert not PendingChange.objects.exclude(promise=None).exists()
    assert PendingChange.objects.filter(next_attempt__lte=timezone.now()).count() == 2


def test_nothing_is_promised_for_a_draft_or_within_a_transaction(root, article):
    page = article("Bread")
    PendingChange.objects.all().delete_rows()
    with CaptureQueriesContext(connection) as queries:
        page.save_revision().publish()
        with transaction.atomic():
            Note.objects.create(text="bread")
    written = [query["sql"] for query in queries if "wvi_pending_change" in query["sql"]]
    assert len([sql for sql in written if "INSERT" in sql]) == 4
    assert not [sql for sql in written if "UPDATE" in sql or "DELETE" in sql]
    PendingChange.objects.all().delete_rows()
    Notice.objects.create(text="bread", live=False, locale=root.locale)
    assert not PendingChange.objects.exists()


def test_a_save_that_failed_leaves_a_promise_that_does_no_harm(embedder):
    note = Note.objects.create(text="bread")
    update(get_index(NOTES))
    note.stars = None
    with pytest.raises(IntegrityError):
        note.save()
    assert rows(index=NOTES) == [object_key(note)]
    note.stars = 5
    note.save()
    assert texts(NOTES) == ["bread"]


def test_a_drain_that_comes_too_early_leaves_the_promise(dying, embedder):
    note = Note.objects.create(text="bread")
    update(get_index(NOTES))
    note.text = "cake"

    def drained_meanwhile():
        from django.db.models.signals import pre_save

        def look(**kwargs):
            drain(get_index(NOTES))
            update(get_index(NOTES))

        pre_save.connect(look, sender=Note)
        try:
            note.save()
        finally:
            pre_save.disconnect(look, sender=Note)

    dying(drained_meanwhile)
    assert rows(index=NOTES) == [object_key(note)]
    assert texts(NOTES) == ["cake"]


def test_a_promise_from_a_wrong_clock_does_not_wait_for_years(dying, embedder):
    note = Note.objects.create(text="bread")
    update(get_index(NOTES))
    note.text = "cake"
    dying(note.save)
    PendingChange.objects.update(next_attempt=timezone.now() + dt.timedelta(days=9_999))
    apply_changes(get_index(NOTES))
    assert [str(found) for found in Note.vector_index.search("cake")] == ["cake"]


def test_one_comparison_for_many_new_objects(dying, embedder, monkeypatch):
    update(get_index(NOTES))
    for text in ("bread", "cake", "tea"):
        dying(Note.objects.create, text=text)
    PendingChange.objects.bulk_create(
        PendingChange(index=NOTES, scope="index", object_key="testapp.note") for _ in range(3)
    )
    compared = []
    real = expanding.changed_keys
    monkeypatch.setattr(
        expanding, "changed_keys", lambda *given: compared.append(given) or real(*given)
    )
    assert texts(NOTES) == ["bread", "cake", "tea"]
    assert len(compared) == 1


@pytest.fixture
def without_autocommit():
    """Has a database begin a transaction with the first statement, as its driver does."""
    aliases = []

    def begin(using="default"):
        aliases.append(using)
        transaction.set_autocommit(False, using)

    yield begin
    for using in aliases:
        transaction.rollback(using)
        transaction.set_autocommit(True, using)


@pytest.mark.parametrize("end", [transaction.commit, transaction.rollback])
def test_a_save_without_autocommit(without_autocommit, end):
    without_autocommit()
    note = Note.objects.create(text="bread")
    note.save()
    end()
    noted = [object_key(note)] * 2 if end is transaction.commit else []
    assert rows(index=NOTES) == rows(index=NOTES, promise=None) == noted


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestAnotherDatabase:
    """The rows are promised before the commit of a database that is not the index tables'."""

    @pytest.fixture
    def remote(self, embedder):
        remote = Remote.objects.create(text="bread")
        update(get_index("remote"))
        PendingChange.objects.all().delete_rows()
        return remote

    def test_a_process_that_ends_right_after_the_commit(self, remote, monkeypatch):
        remote.text = "cake"
        with monkeypatch.context() as patched:
            patched.setattr(noting, "_replace", killed)
            with suppress(Killed), transaction.atomic(using="other"):
                remote.save()
        assert rows() == [object_key(remote)]
        time_passes()
        apply_changes(get_index("remote"))
        assert [r.vector_excerpt for r in Remote.vector_index.search("cake")] == ["cake"]

    def test_a_deletion(self, remote, monkeypatch):
        key = object_key(remote)
        with monkeypatch.context() as patched:
            patched.setattr(noting, "_replace", killed)
            with suppress(Killed):
                remote.delete()
        assert rows() == [key]

    def test_a_rollback_leaves_a_promise_that_does_no_harm(self, remote):
        with suppress(ZeroDivisionError), transaction.atomic(using="other"):
            remote.delete()
            raise ZeroDivisionError
        time_passes()
        apply_changes(get_index("remote"))
        assert [r.vector_excerpt for r in Remote.vector_index.search("bread")] == ["bread"]

    def test_a_commit_replaces_the_promise(self, remote):
        with transaction.atomic(using="other"):
            remote.save()
            assert rows(promise=None) == []
            assert rows() == [object_key(remote)]
        assert rows(promise=None) == rows() == [object_key(remote)]

    def test_without_autocommit_the_promise_remains(self, remote, without_autocommit):
        """The end of the transaction is not known. A drain before it would read the old text."""
        without_autocommit("other")
        remote.text = "cake"
        remote.save()
        apply_changes(get_index("remote"))
        transaction.commit("other")
        assert rows(promise=None) == []
        assert rows() == [object_key(remote)]
        time_passes()
        apply_changes(get_index("remote"))
        assert [r.vector_excerpt for r in Remote.vector_index.search("cake")] == ["cake"]


def test_a_new_object_that_another_reads(dying, embedder):
    step = Step(source=Note, target=Comment, lookup="comments", pointer=("note",))
    path = ReadingPath(steps=(step,), attributes=None)
    interest = Interest(index=get_index(NOTES), model=Note, fields=None, path=path)
    connected = receivers.Receivers({Comment: [interest]})
    connected.connect()
    note = Note.objects.create(text="bread")
    dying(Comment.objects.create, note=note, text="cake")
    assert rows(index=NOTES) == ["testapp.comment*"]


def test_a_process_that_ends_while_a_key_cannot_be_stored(monkeypatch):
    good, bad, last = (f"testapp.note:{number}" for number in (1, 2, 3))
    changes = {(NOTES, PendingChange.Scope.OBJECT): [good, bad, last]}
    dies = False

    def store(index_name, keys, *arguments):
        if bad in keys:
            raise DataError("value too long for type character varying(640)")
        if dies and last in keys:
            raise Killed
        append(index_name, keys, *arguments)

    monkeypatch.setattr(noting, "append", store)
    promise = noting._promise(changes)
    assert rows(promise=promise) == [good, last]
    dies = True
    with suppress(Killed):
        noting.note(changes, None, promise)
    assert rows(promise=promise) == [good, last]
    dies = False
    noting.note(changes, None, promise)
    assert rows(promise=None) == [good, last]
    assert not rows(promise=promise)
