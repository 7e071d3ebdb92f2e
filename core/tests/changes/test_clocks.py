"""Times that a wrong clock has set: nothing waits longer than it does with a right one."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from tests.testapp.models import Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.indexing.backoff import OBJECT_DELAY
from wagtail_vector_index.indexing.cleaning import clean_up
from wagtail_vector_index.indexing.failures import is_waiting, seconds_of_pause
from wagtail_vector_index.indexing.outbox import append
from wagtail_vector_index.indexing.plan import live_collections
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange

pytestmark = pytest.mark.django_db

NOTES = "testapp.Note"

FUTURE = [dt.timedelta(hours=2), dt.timedelta(days=400)]


@pytest.fixture
def built(settings, bring_up_to_date, embedder):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    Note.objects.create(text="bread")
    Note.objects.create(text="cheese")
    bring_up_to_date(NOTES)


def failed_change(ahead):
    note = Note.objects.create(text="cake")
    append(NOTES, [f"testapp.note:{note.pk}"])
    PendingChange.objects.update(
        attempts=3, last_error="refused", next_attempt=timezone.now() + ahead
    )


@pytest.mark.parametrize("ahead", FUTURE)
def test_a_change_whose_next_attempt_is_too_far_ahead_is_due(built, ahead, found):
    failed_change(ahead)
    assert attempt(NOTES).retry_in is None
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]


def test_a_change_that_waits_as_it_should_still_waits(built):
    failed_change(dt.timedelta(minutes=50))
    retry_in = attempt(NOTES).retry_in
    assert 2_900 < retry_in <= OBJECT_DELAY.total_seconds()


@pytest.mark.parametrize("ahead", FUTURE)
def test_a_service_whose_next_attempt_is_too_far_ahead_is_asked(built, ahead):
    Collection.objects.update(attempts=2, next_attempt=timezone.now() + ahead)
    assert not is_waiting(Collection.objects.get())
    assert seconds_of_pause(live_collections(NOTES)) == 0
    Note.objects.create(text="cake")
    append(NOTES, [f"testapp.note:{Note.objects.last().pk}"])
    assert attempt(NOTES).retry_in is None or attempt(NOTES).retry_in <= 1
    assert Collection.objects.get().attempts == 0


@pytest.mark.parametrize("ahead", FUTURE)
def test_nothing_is_kept_until_a_wrong_time_comes(built, bring_up_to_date, ahead):
    moment = timezone.now() + ahead
    Note.objects.filter(text="cheese").delete()
    bring_up_to_date(NOTES)
    Document.objects.exclude(deleted_at=None).update(deleted_at=moment)
    Embedding.objects.update(created_at=moment)
    bring_up_to_date(NOTES, rebuild=True)
    Collection.objects.filter(state="retired").update(retired_at=moment)
    clean_up()
    assert Collection.objects.get().state == "active"
    assert not Document.objects.exclude(deleted_at=None).exists()
    assert Embedding.objects.count() == 1


@pytest.mark.parametrize("ahead", FUTURE)
class TestTheMonitor:
    """A moment in the future is no reason to be silent."""

    def problems(self):
        return [problem.message for problem in status_of(Note.vector_index).problems]

    def test_a_change(self, built, ahead):
        append(NOTES, ["testapp.note:1"])
        assert not self.problems()
        PendingChange.objects.update(created_at=timezone.now() + ahead)
        (problem,) = self.problems()
        assert "1 changes of testapp.Note have waited" in problem

    def test_a_backend_that_lacks_changes(self, built, ahead):
        Collection.objects.update(applied_revision=0, changed_at=timezone.now())
        assert not self.problems()
        Collection.objects.update(changed_at=timezone.now() + ahead)
        (problem,) = self.problems()
        assert "lacked changes" in problem

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_rebuild_that_stopped(self, built, ahead, embedder, bring_up_to_date, seen):
        def stop(texts):
            raise KeyboardInterrupt

        Embedding.objects.update(fingerprint="another")
        embedder.before = stop
        with pytest.raises(KeyboardInterrupt):
            bring_up_to_date(NOTES, rebuild=True)
        assert not self.problems()
        moment = timezone.now() + ahead
        building = Collection.objects.filter(state="building")
        building.update(builder_seen=moment if seen else None, created_at=moment)
        PendingChange.objects.all().delete_rows()
        (problem,) = self.problems()
        assert "stopped more than" in problem
