"""A new collection replaces the one in use only if it is as good."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from tests.testapp.models import Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.exceptions import EmbeddingRefused, IndexNotBuilt
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import Collection, Document

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
State = Collection.State


@pytest.fixture
def refusing(settings):
    """Changes the model to one that refuses the texts with a word."""

    def run(word, model="better"):
        settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings", "MODEL": model}
        }
        refuse(word)

    return run


def refuse(word):
    def before(texts):
        if any(word in text.split() for text in texts):
            raise EmbeddingRefused("the text is not accepted")

    embedding_backends["default"].before = before


def accept():
    embedding_backends["default"].before = lambda texts: None


@pytest.fixture
def fill():
    def run(good, bad=0):
        Note.objects.bulk_create(
            [Note(text=f"good {number}") for number in range(good)]
            + [Note(text=f"bad {number}") for number in range(bad)]
        )

    return run


def command(*names):
    """What the command says at its end, or "" if it succeeds."""
    try:
        call_command("update_vector_indexes", *names or ("note",), stdout=io.StringIO())
    except CommandError as error:
        return str(error)
    return ""


def active():
    return Collection.objects.get(state=State.ACTIVE)


@pytest.mark.parametrize(
    ("good", "bad"),
    [(6, 54), (100, 3), (98, 2), (0, 1), (0, 12), (1, 2)],
    ids=["most", "3 percent", "2 percent", "the only one", "all", "two of three"],
)
def test_what_serves_stays_if_more_than_a_small_share_is_missing(
    fill, good, bad, bring_up_to_date, refusing
):
    fill(good, bad)
    bring_up_to_date("note")
    before = active()
    refusing("bad")
    said = command()
    assert active() == before
    assert before.document_count == good + bad
    assert f"is not rebuilt yet, because {bad} of its {good + bad} objects could not be" in said
    assert "EmbeddingRefused: the text is not accepted" in said
    assert "To continue, run: manage.py update_vector_indexes testapp.Note" in said
    accept()
    assert command() == ""
    assert active() != before
    assert active().document_count == good + bad


@pytest.mark.parametrize(("good", "bad"), [(4, 1), (198, 2), (99, 1)])
def test_a_small_share_holds_up_nothing_and_is_reported(
    fill, good, bad, bring_up_to_date, refusing
):
    fill(good, bad)
    bring_up_to_date("note")
    refusing("bad")
    said = command()
    assert active().document_count == good
    assert "the text is not accepted" in said
    assert "not rebuilt" not in said
    assert said.count("testapp.note:") == bad
    assert not status_of(NOTES).is_ok


def test_what_left_the_index_does_not_count(fill, bring_up_to_date, refusing):
    """Objects that were deleted, or have no text any more, are not missing."""
    fill(30, 1)
    bring_up_to_date("note")
    Note.objects.filter(text__in=[f"good {number}" for number in range(20)]).delete()
    for note in Note.objects.filter(text__in=["good 20", "good 21"]):
        note.text = ""
        note.save()
    refusing("bad")
    command()
    assert active().document_count == 8


def test_objects_that_never_were_in_the_index_do_not_count(fill, bring_up_to_date, refusing):
    fill(5)
    bring_up_to_date("note")
    fill(0, 20)
    refusing("bad")
    assert "and 15 more: EmbeddingRefused" in command()
    assert active().document_count == 5
    assert active().fingerprint == NOTES.embedder.fingerprint


def test_a_first_build_of_nothing_is_no_build(fill, refusing):
    fill(0, 7)
    refusing("bad")
    said = command()
    assert "none of its objects could be indexed. 7 failed." in said
    with pytest.raises(IndexNotBuilt):
        list(NOTES.search("bread"))
    assert not Collection.objects.filter(state=State.ACTIVE).exists()
    accept()
    assert command() == ""
    assert active().document_count == 7


def test_a_first_build_of_a_part_serves_and_fails(fill, refusing):
    fill(2, 7)
    refusing("bad")
    assert "the text is not accepted" in command()
    assert NOTES.search("good").count() == 2


def test_an_index_without_objects_is_built():
    assert command() == ""
    assert NOTES.search("bread").count() == 0


def test_what_holds_up_a_rebuild_is_part_of_the_status(fill, bring_up_to_date, refusing):
    fill(5, 5)
    bring_up_to_date("note")
    refusing("bad")
    command()
    [held_back] = [p for p in status_of(NOTES).problems if "is not rebuilt yet" in p.message]
    assert "5 of its 10 objects" in held_back.message
    accept()
    command()
    assert status_of(NOTES).is_ok


def test_a_rebuild_in_the_background_is_tried_again_until_it_is_complete(
    fill, bring_up_to_date, refusing
):
    fill(5, 5)
    bring_up_to_date("note")
    before = active()
    refusing("bad")
    first = attempt(NOTES.name, rebuild=True)
    assert first.failures == 1
    assert first.retry_in is not None
    second = attempt(NOTES.name, first.failures, rebuild=True)
    assert second.failures == 2
    assert active() == before
    accept()
    assert attempt(NOTES.name, second.failures, rebuild=True).failures == 0
    assert active() != before


def test_changes_reach_both_collections_meanwhile(fill, bring_up_to_date, refusing, found):
    fill(5, 5)
    bring_up_to_date("note")
    refuse("bad")
    for note in Note.objects.all():
        note.text += " bad"
        note.save()
    with pytest.raises(CommandError):
        call_command("update_vector_indexes", "note", rebuild=True, stdout=io.StringIO())
    assert Document.objects.filter(collection=active(), deleted_at=None).count() == 10
    accept()
    command()
    assert NOTES.search("bad", limit=20).count() == 10
