"""The command that deletes at once."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.orphans import orphans
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange

NOTES, ARTICLES, OLD = "testapp.Note", "testapp.ArticlePage", "shop.OldIndex"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(server, embedder):
    pass


@pytest.fixture
def notes():
    notes = [Note.objects.create(text=text) for text in ("bread", "cake", "tea")]
    update(get_index(NOTES))
    return notes


@pytest.fixture
def orphan(notes):
    """What an index has left that has another name in the code now."""
    Collection.objects.filter(index=NOTES).update(index=OLD)
    PendingChange.objects.create(index=OLD, object_key="shop.thing:1", last_error="ValueError: no")
    update(get_index(NOTES))


def purge(capsys, **options):
    call_command("purge_vector_indexes", **options)
    return capsys.readouterr().out


def names():
    return sorted(vector_backends["default"].collections())


def test_nothing_is_left_of_what_was_deleted(notes, capsys):
    """Without any row in the outbox: the objects were deleted in bulk."""
    Note.objects.filter(text__in=["bread", "cake"])._raw_delete("default")
    update_of_another_index = PendingChange.objects.count()
    assert "testapp.Note: 2 objects removed." in purge(capsys)
    assert Document.objects.count() == Embedding.objects.count() == 1
    assert PendingChange.objects.count() == update_of_another_index
    backend, collection = vector_backends["default"], Collection.objects.get(index=NOTES)
    assert backend.count(collection.spec) == 1


def test_what_was_unpublished_in_bulk(article, capsys):
    article("Bread")
    article("Cake")
    update(get_index(ARTICLES))
    ArticlePage.objects.filter(title="Bread").update(live=False)
    assert f"{ARTICLES}: 1 objects removed." in purge(capsys)
    kept = Document.objects.filter(collection__index=ARTICLES).values_list("content", flat=True)
    assert list(kept) == ["Cake"]


def test_replaced_collections_go_at_once(notes, capsys):
    update(get_index(NOTES), rebuild=True)
    assert len(names()) == 2
    assert "Nothing is left" in purge(capsys)
    assert names() == [Collection.objects.get(index=NOTES).name]


def test_orphans_are_listed(orphan, capsys):
    (found,) = orphans([NOTES])
    assert (found.index, found.documents, found.pending) == (OLD, 3, 1)
    said = purge(capsys, dry_run=True)
    assert f"{OLD} is no index of this site. It has left 3 chunks, 1 pending changes" in said
    assert f"{found.collections[0].name} on 'default'" in said
    assert len(names()) == 2


def test_a_dry_run_deletes_nothing(notes, capsys):
    notes[0].delete()
    update(get_index(NOTES), rebuild=True)
    notes[1].delete()
    before = [model.objects.count() for model in (Collection, Document, Embedding)]
    said = purge(capsys, dry_run=True)
    assert "testapp.Note: 1 objects that nobody may find any more." in said
    assert "1 replaced collections." in said
    assert "1 embeddings that no chunk uses." in said
    assert [model.objects.count() for model in (Collection, Document, Embedding)] == before


@pytest.mark.parametrize(("answer", "left"), [("", True), ("n", True), ("yes", False)])
def test_orphans_go_after_a_question(orphan, capsys, monkeypatch, answer, left):
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    purge(capsys)
    assert asked == ["Delete what they have left? [y/N] "]
    assert Collection.objects.filter(index=OLD).exists() is left
    assert PendingChange.objects.filter(index=OLD).exists() is left
    assert len(names()) == 1 + left


@pytest.mark.parametrize("closed", [False, True])
def test_without_a_terminal_everything_else_is_purged(orphan, capsys, monkeypatch, closed):
    """As from cron, or from ``docker run`` without ``-i``."""
    monkeypatch.setattr("sys.stdin", None if closed else io.StringIO())
    Note.objects.filter(text="bread")._raw_delete("default")
    with pytest.raises(CommandError, match=rf"{OLD}: .* run: .*purge_vector_indexes --noinput"):
        call_command("purge_vector_indexes")
    said = capsys.readouterr().out
    assert "testapp.Note: 1 objects removed." in said
    assert "Nothing is left" not in said
    assert [found.documents for found in orphans([NOTES])] == [3]


def test_a_question_that_nobody_would_see_is_not_asked(orphan, capsys, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail("asked"))
    with pytest.raises(CommandError, match=rf"{OLD}: .* --verbosity 0 .*--noinput"):
        call_command("purge_vector_indexes", verbosity=0)
    assert capsys.readouterr().out == ""
    assert [found.documents for found in orphans([NOTES])] == [3]


@pytest.mark.parametrize("option", ["--noinput", "--no-input"])
def test_orphans_go_without_a_question(orphan, capsys, option):
    call_command("purge_vector_indexes", option)
    assert f"{OLD}: removed." in capsys.readouterr().out
    assert not orphans([NOTES])
    assert names() == [Collection.objects.get(index=NOTES).name]
    assert not Document.objects.filter(collection__index=OLD).exists()
    assert len(list(Note.vector_index.search("bread", limit=3))) == 3


@pytest.mark.parametrize("option", ["--noinput", "--no-input"])
def test_both_spellings_ask_nothing(orphan, option):
    call_command("purge_vector_indexes", option)
    assert not orphans([NOTES])


def test_a_store_that_is_down_is_told_and_keeps_no_text(orphan, capsys):
    def fail(method):
        if method == "drop":
            raise BackendUnavailable("the server is down")

    vector_backends["default"].before = fail
    with pytest.raises(CommandError, match="could not be dropped from the vector backend"):
        purge(capsys, interactive=False)
    assert not Document.objects.filter(collection__index=OLD).exists()
    vector_backends["default"].before = lambda method: None
    assert "Nothing is left" in purge(capsys)
    assert len(names()) == 1


def test_a_backend_that_is_no_longer_in_the_settings(orphan):
    name = Collection.objects.get(index=OLD).name
    Collection.objects.filter(index=OLD).update(vector_backend="gone")
    with pytest.raises(CommandError, match=rf"{name} cannot be dropped.*Drop it there yourself"):
        call_command("purge_vector_indexes", interactive=False, verbosity=0)
    assert not Collection.objects.filter(index=OLD).exists()


def test_an_index_that_fails_holds_up_no_other(notes, article, monkeypatch, capsys):
    Note.objects.filter(text="bread")._raw_delete("default")
    article("Bread")
    update(get_index(ARTICLES))

    def wrong(*arguments):
        raise RuntimeError("out of order")

    monkeypatch.setattr(type(get_index(ARTICLES)), "sources_among", wrong)
    with pytest.raises(CommandError, match=r"ArticlePage: RuntimeError: out of order"):
        call_command("purge_vector_indexes", dry_run=True)
    said = capsys.readouterr().out
    assert "testapp.Note: 1 objects that nobody may find any more." in said
    with pytest.raises(CommandError, match=r"ArticlePage: RuntimeError: out of order"):
        call_command("purge_vector_indexes")
    assert "testapp.Note: 1 objects removed." in capsys.readouterr().out


def test_it_says_nothing_when_told_so(notes, capsys):
    assert purge(capsys, verbosity=0) == ""
