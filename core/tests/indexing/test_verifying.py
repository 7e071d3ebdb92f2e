"""What was sent to a vector backend can be found, also after its service has crashed."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.testapp.models import Note
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.contract import METRICS
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.updating import apply_changes
from wagtail_vector_index.indexing.verifying import unfound_in_sample
from wagtail_vector_index.management.commands import vector_backends as vector_backends_command
from wagtail_vector_index.models import Collection, Document
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
TEXTS = [f"word{number} and word{number + 1}" for number in range(30)]


@pytest.fixture
def server(settings):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.backends.CrashingBackend"}
    }
    return vector_backends["default"]


@pytest.fixture
def notes(server, bring_up_to_date):
    created = [Note.objects.create(text=text) for text in TEXTS]
    bring_up_to_date("note")
    return created


def fail(server):
    def down(method):
        raise BackendUnavailable("the server has crashed")

    server.before = down


def recover(server):
    server.before = lambda method: None


def assert_all_are_found(found):
    texts = Note.objects.values_list("text", flat=True)
    assert sorted(found(NOTES, "word", limit=100)) == sorted(texts)


def test_a_write_that_failed_in_the_middle(notes, server, bring_up_to_date, found):
    Note.objects.create(text="word70 and word71")
    fail(server)
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    recover(server)
    bring_up_to_date("note")
    assert_all_are_found(found)
    assert server.unindexed == set()


def test_a_build_that_failed_in_the_middle(server, bring_up_to_date, found):
    for text in TEXTS:
        Note.objects.create(text=text)
    fail(server)
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    recover(server)
    bring_up_to_date("note")
    assert_all_are_found(found)


def test_a_write_whose_process_ended_in_the_middle(notes, server, bring_up_to_date, found):
    """Nobody notes a failure then, and the server does not start again."""
    Note.objects.create(text="word70 and word71")
    bring_up_to_date("note")
    last = Document.objects.order_by("-revision").first()
    server.unindexed = {last.pk}
    Collection.objects.update(applied_revision=last.revision - 1)
    apply_changes(get_index("note"))
    assert_all_are_found(found)


def test_what_never_failed_is_not_deleted(notes, server, bring_up_to_date):
    server.deleted = 0
    Note.objects.create(text="word70 and word71")
    bring_up_to_date("note")
    assert server.upserted == len(TEXTS) + 1
    assert server.deleted == 0


def test_a_server_that_was_started_again_has_lost_what_was_reported_as_written(
    notes, server, bring_up_to_date, found, caplog
):
    lost = Document.objects.order_by("-revision").values_list("pk", flat=True)[:20]
    server.crash(lost)
    assert len(found(NOTES, TEXTS[3], limit=30)) == 10
    bring_up_to_date("note")
    assert "did not find 20 records" in caplog.text
    assert_all_are_found(found)


def test_a_change_in_the_meantime_does_not_hide_a_new_start(notes, server, bring_up_to_date, found):
    server.crash(Document.objects.values_list("pk", flat=True)[:5])
    Note.objects.create(text="word70 and word71")
    apply_changes(get_index("note"))
    bring_up_to_date("note")
    assert_all_are_found(found)


def test_records_are_verified_once_for_each_start(notes, server, bring_up_to_date):
    asked = []
    server.search = lambda spec, vector, **arguments: asked.append(vector) or []
    bring_up_to_date("note")
    assert not asked
    server.crash()
    bring_up_to_date("note")
    assert len(asked) == len(TEXTS)
    bring_up_to_date("note")
    assert len(asked) == len(TEXTS)


def test_older_records_are_verified_while_much_is_lost(
    notes, server, bring_up_to_date, found, monkeypatch
):
    monkeypatch.setattr("wagtail_vector_index.indexing.verifying._BATCH_SIZE", 5)
    monkeypatch.setattr("wagtail_vector_index.indexing.verifying._LEAST", 5)
    server.crash(Document.objects.values_list("pk", flat=True))
    bring_up_to_date("note")
    assert_all_are_found(found)


def test_not_every_record_of_a_large_collection_is_verified(
    notes, server, bring_up_to_date, monkeypatch
):
    monkeypatch.setattr("wagtail_vector_index.indexing.verifying._BATCH_SIZE", 5)
    monkeypatch.setattr("wagtail_vector_index.indexing.verifying._LEAST", 10)
    asked = []
    monkeypatch.setattr(server, "unfound", lambda spec, batch: asked.append(len(batch)) or [])
    server.crash()
    bring_up_to_date("note")
    assert asked == [5, 5]


def test_a_verification_that_fails_is_made_by_the_next_update(
    notes, server, bring_up_to_date, found
):
    server.crash(Document.objects.values_list("pk", flat=True))
    fail(server)
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note")
    recover(server)
    bring_up_to_date("note")
    assert_all_are_found(found)


def test_a_sample_tells_what_is_not_found(notes, server):
    collection = Collection.objects.get()
    assert unfound_in_sample(collection, server) == (0, len(TEXTS))
    server.unindexed = set(Document.objects.values_list("pk", flat=True)[:7])
    assert unfound_in_sample(collection, server) == (7, len(TEXTS))
    Document.objects.all().delete()
    assert unfound_in_sample(collection, server) == (0, 0)


@pytest.fixture(autouse=True)
def _one_index(monkeypatch):
    """A check would say that the other indexes of the tests are not built."""
    monkeypatch.setattr(vector_backends_command, "all_indexes", lambda: [Note.vector_index])


def test_the_check_tells_what_is_not_found(notes, server, capsys):
    call_command("vector_backends", check=True)
    assert "own vectors" not in capsys.readouterr().out
    server.unindexed = set(Document.objects.values_list("pk", flat=True)[:7])
    with pytest.raises(SystemExit):
        call_command("vector_backends", check=True)
    printed = capsys.readouterr().out
    assert "7 of 30 records of testapp_note" in printed
    assert "are not found by their own vectors" in printed
    assert "--rebuild" in printed


def test_the_check_of_a_backend_that_fails_while_it_searches(notes, server, capsys, monkeypatch):
    def down(*arguments):
        raise BackendUnavailable("the server has crashed")

    monkeypatch.setattr(server, "unfound", down)
    with pytest.raises(SystemExit):
        call_command("vector_backends", check=True)
    assert "the server has crashed" in capsys.readouterr().out


@pytest.mark.parametrize("metric", METRICS)
def test_records_are_told_from_those_that_are_nearer_or_equal(server, metric):
    spec = CollectionSpec(name="some", dimensions=4, metric=metric)
    server.create(spec)
    ids = sorted_ids(60)
    equal, others = [[1.0, 2.0, 3.0, 4.0]] * 20, [list(v) for v in random_vectors(40, 4)]
    batch = RecordBatch.of(ids=ids, vectors=[*equal, *others])
    server.upsert(spec, batch)
    assert server.unfound(spec, batch) == []
    server.unindexed = {ids[3], ids[19], ids[20], ids[59]}
    assert set(server.unfound(spec, batch)) == server.unindexed
