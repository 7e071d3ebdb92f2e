"""Any number of processes write the changes of one index, each its share."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import timezone

from tests.testapp.models import Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.exceptions import EmbeddingUnavailable
from wagtail_vector_index.indexing import shares, updating
from wagtail_vector_index.indexing.draining import drain
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.processes import process_name
from wagtail_vector_index.indexing.updating import apply_removals
from wagtail_vector_index.models import Document, PendingChange

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
MACHINE = process_name().rpartition(":")[0]


@pytest.fixture
def notes(bring_up_to_date, settings):
    """Three notes, each with a row in the outbox."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    bring_up_to_date("note")
    return [Note.objects.create(text=text) for text in ("bread", "cheese", "wine")]


def changes():
    return PendingChange.objects.filter(index=NOTES.name)


def rows_of(note):
    return changes().filter(object_key=f"testapp.note:{note.pk}")


def held(rows, holder="elsewhere:7#1", *, seconds_ago=0):
    rows.update(holder=holder, holder_seen=timezone.now() - datetime.timedelta(seconds=seconds_ago))


def indexed():
    return sorted(Document.objects.filter(deleted_at=None).values_list("content", flat=True))


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{MACHINE}:{process.pid}#1"


def test_what_another_process_works_on_is_left_to_it(notes, embedder):
    held(rows_of(notes[0]))
    assert drain(NOTES).objects == 2
    assert sorted(embedder.texts) == ["cheese", "wine"]
    assert rows_of(notes[0]).get().holder == "elsewhere:7#1"


def test_an_object_that_changes_while_another_process_works_on_it_is_left_to_it(notes, embedder):
    """If its older text were written last, that text would stay."""
    held(rows_of(notes[0]))
    notes[0].text = "toast"
    notes[0].save()
    assert rows_of(notes[0]).count() == 2
    assert drain(NOTES).objects == 2
    assert "toast" not in embedder.texts
    rows_of(notes[0]).exclude(holder=None).delete()  # the other process has written it
    drain(NOTES)
    assert indexed() == ["cheese", "toast", "wine"]


def test_a_change_that_waits_for_another_attempt_comes_with_the_others_of_its_object(notes):
    rows_of(notes[0]).update(attempts=1, next_attempt=timezone.now() + datetime.timedelta(hours=1))
    notes[0].save()
    assert drain(NOTES).objects == 3
    assert not changes().exists()


@pytest.mark.parametrize("seconds_ago", [301, -86_400])
def test_the_share_of_a_process_that_is_silent_is_taken(notes, seconds_ago):
    held(changes(), seconds_ago=seconds_ago)
    assert drain(NOTES).objects == 3


def test_the_share_of_a_process_that_has_ended_is_taken_at_once(notes):
    held(changes(), ended_process())
    assert drain(NOTES).objects == 3


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc, as on Linux")
def test_the_share_of_a_process_is_taken_before_its_parent_notes_its_end(notes):
    """Not every container has a process that does so for all others."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    held(changes(), f"{MACHINE}:{process.pid}#1")
    assert drain(NOTES).objects == 3
    process.wait()


def test_the_share_of_a_living_process_of_this_machine_is_left_to_it(notes):
    held(changes(), f"{process_name()}#another thread")
    assert drain(NOTES).objects == 0


def test_a_share_is_limited(notes, monkeypatch, embedder):
    monkeypatch.setattr(shares, "SIZE", 2)
    seen = []
    embedder.before = lambda texts: seen.append(changes().exclude(holder=None).count())
    assert drain(NOTES).objects == 3
    assert seen == [2, 1]


def test_towards_the_end_shares_become_smaller(notes, monkeypatch, embedder):
    """Otherwise, one process would still work on a large share when the others have none left."""
    monkeypatch.setattr(shares, "_LEAST", 1)
    queue(NOTES.name, [f"testapp.note:{number}" for number in range(1_000, 1_006)])
    held(rows_of(notes[0]))
    taken = []
    share = shares.Share(NOTES.name)
    while rows := share.take(timezone.now()):
        taken.append(len(rows))
        changes().filter(pk__in=[pk for pk, _ in rows]).delete()
    assert taken == [2, 2, 1, 1, 1, 1]


def test_a_share_is_kept_while_texts_are_embedded(notes, monkeypatch, embedder):
    """Each batch can take a minute, and the others must not take the share meanwhile."""
    monkeypatch.setattr(shares, "HEARTBEAT", 0.0)
    monkeypatch.setattr(type(embedder), "max_batch_texts", 1)
    long_ago = timezone.now() - datetime.timedelta(hours=1)
    seen = []

    def look(texts):
        seen.append(set(changes().values_list("holder_seen", flat=True)))
        changes().update(holder_seen=long_ago)

    embedder.before = look
    drain(NOTES)
    assert len(seen) == 3
    assert {long_ago} not in seen


def test_a_share_that_another_took_over_is_not_written(notes, embedder):
    """By then, the other one may have written a newer text."""
    embedder.before = lambda texts: held(changes())
    assert drain(NOTES).objects == 0
    assert indexed() == []
    assert set(changes().values_list("holder", flat=True)) == {"elsewhere:7#1"}


def test_an_error_of_a_share_that_another_took_over_is_not_stored(notes, embedder):
    def refuse(texts):
        if "cheese" in texts:
            held(changes())
            raise ValueError("no")

    embedder.before = refuse
    drain(NOTES)
    assert set(changes().values_list("holder", "attempts")) == {("elsewhere:7#1", 0)}


def test_a_share_is_given_back_after_an_error(notes, embedder):
    def down(texts):
        raise EmbeddingUnavailable("the service is down")

    embedder.before = down
    with pytest.raises(EmbeddingUnavailable):
        drain(NOTES)
    assert set(changes().values_list("holder", flat=True)) == {None}


def test_an_object_that_fails_is_given_back(notes, embedder):
    def refuse(texts):
        if "cheese" in texts:
            raise ValueError("no cheese")

    embedder.before = refuse
    assert list(drain(NOTES).errors) == [f"testapp.note:{notes[1].pk}"]
    assert rows_of(notes[1]).get().holder is None


def test_a_comparison_leaves_what_others_work_on(notes):
    """They would have to read it again, and it is read again afterwards anyway."""
    held(rows_of(notes[0]))
    before = rows_of(notes[0]).get().pk
    queue(NOTES.name, NOTES.source_keys())
    assert list(rows_of(notes[0]).order_by("pk").values_list("holder", flat=True)) == [
        "elsewhere:7#1",
        None,
    ]
    assert rows_of(notes[0]).filter(pk=before).exists()
    assert rows_of(notes[1]).count() == 1


def test_a_removal_waits_for_no_other_process(notes):
    """One that embeds may take minutes, or hang, while a visitor still finds the object."""
    drain(NOTES)
    Note.objects.filter(pk=notes[0].pk).update(text="new bread")
    queue(NOTES.name, [f"testapp.note:{notes[0].pk}"])
    held(changes())
    Note.objects.filter(pk=notes[0].pk).delete()
    assert apply_removals(NOTES) == 1
    assert indexed() == ["cheese", "wine"]
    assert not changes().exists()


def test_an_update_waits_for_the_shares_of_others(notes, bring_up_to_date, monkeypatch):
    held(rows_of(notes[0]))
    waited = []

    def the_other_writes(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            rows_of(notes[0]).exclude(holder=None).delete()

    monkeypatch.setattr(updating.time, "sleep", the_other_writes)
    (updated,) = bring_up_to_date("note")
    assert len(waited) == 2
    assert updated.drained.objects == 3
    assert indexed() == ["bread", "cheese", "wine"]


def test_an_update_writes_what_another_gives_back(notes, bring_up_to_date, monkeypatch):
    held(rows_of(notes[0]))
    monkeypatch.setattr(
        updating.time, "sleep", lambda seconds: changes().update(holder=None, holder_seen=None)
    )
    (updated,) = bring_up_to_date("note")
    assert updated.drained.objects == 3
    assert indexed() == ["bread", "cheese", "wine"]


def test_an_update_forgets_the_error_of_an_object_that_another_writes(
    notes, bring_up_to_date, monkeypatch, embedder
):
    held(rows_of(notes[0]))

    def refuse(texts):
        if "cheese" in texts:
            raise ValueError("no cheese")

    embedder.before = refuse
    monkeypatch.setattr(updating.time, "sleep", lambda seconds: changes().delete())
    (updated,) = bring_up_to_date("note")
    assert updated.drained.errors == {}


def test_a_task_waits_while_another_process_writes(notes):
    held(changes())
    assert attempt(NOTES.name).retry_in == 60


def test_an_update_writes_the_share_of_one_that_ends_early(notes, bring_up_to_date, monkeypatch):
    held(rows_of(notes[0]))
    monkeypatch.setattr(updating.time, "sleep", lambda seconds: held(changes(), ended_process()))
    (updated,) = bring_up_to_date("note")
    assert updated.drained.objects == 3
    assert indexed() == ["bread", "cheese", "wine"]
