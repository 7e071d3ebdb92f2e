"""A collection that lives in the process follows the record."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

import pytest
from django.db import transaction

from tests.testapp.models import Note
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexing import catching_up
from wagtail_vector_index.indexing.catching_up import catch_up, forget
from wagtail_vector_index.models import Collection, Document
from wagtail_vector_index.testing.oracle import OracleBackend

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index


class Counting(OracleBackend):
    """Lives in the process, and counts the records it is sent."""

    def __init__(self):
        super().__init__()
        self.upserted = 0

        #: Called before each batch is written.
        self.before = lambda: None

    def _upsert(self, spec, batch):
        self.before()
        super()._upsert(spec, batch)
        self.upserted += len(batch)


@pytest.fixture
def backend():
    return Counting()


@pytest.fixture
def collection(bring_up_to_date):
    for number in range(20):
        Note.objects.create(text=f"note{number}")
    bring_up_to_date("note")
    return Collection.objects.get()


def copy_of(backend, collection):
    """The only copy of a collection, which has a name of its own."""
    [name] = [n for n in backend.collections() if n.startswith(collection.name[:31].rstrip("_"))]
    return replace(collection.spec, name=name)


def ids(backend, collection):
    return {id for batch in backend.scan(copy_of(backend, collection)) for id in batch.uuids}


def live_ids():
    return set(Document.objects.filter(deleted_at__isnull=True).values_list("pk", flat=True))


def test_the_first_load_is_the_difference_from_revision_0(collection, backend):
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()
    assert backend.upserted == 20


def test_nothing_is_read_when_nothing_changed(collection, backend, django_assert_num_queries):
    catch_up(collection, backend)
    with django_assert_num_queries(0):
        catch_up(collection, backend)


def test_only_the_difference_is_applied(collection, backend, bring_up_to_date):
    catch_up(collection, backend)
    Note.objects.filter(text="note3").delete()
    Note.objects.filter(text="note4").update(text="another")
    Note.objects.create(text="new")
    bring_up_to_date("note")
    backend.upserted = 0
    collection.refresh_from_db()
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()
    assert backend.upserted == 2


def test_what_is_half_applied_is_loaded_anew(collection, backend, bring_up_to_date, monkeypatch):
    """A backend may be left with half of a batch, which no count need tell."""
    catch_up(collection, backend)
    Note.objects.create(text="new")
    Note.objects.filter(text="note3").delete()
    bring_up_to_date("note")
    collection.refresh_from_db()

    def fail(spec, batch):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(backend, "_upsert", fail)
        catch_up(collection, backend)
    backend.upserted = 0
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()
    assert backend.upserted == 20


def test_a_document_that_came_and_went_meanwhile_does_no_harm(
    collection, backend, bring_up_to_date
):
    catch_up(collection, backend)
    brief = Note.objects.create(text="brief")
    bring_up_to_date("note")
    brief.delete()
    bring_up_to_date("note")
    backend.upserted = 0
    collection.refresh_from_db()
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()
    assert backend.upserted == 0


def test_a_rolled_back_write_does_not_stay_visible(collection, backend, bring_up_to_date):
    class Rollback(Exception):
        pass

    try:
        with transaction.atomic():
            Note.objects.create(text="never")
            bring_up_to_date("note")
            collection.refresh_from_db()
            catch_up(collection, backend)
            assert len(ids(backend, collection)) == 21
            raise Rollback
    except Rollback:
        collection.refresh_from_db()
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()
    assert len(live_ids()) == 20


def test_another_write_of_the_same_revision_is_noticed(collection, backend, bring_up_to_date):
    """Two tests, each rolled back, reach the same revision with other documents."""
    catch_up(collection, backend)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Note.objects.create(text="one")
        bring_up_to_date("note")
        collection.refresh_from_db()
        catch_up(collection, backend)
        revision = collection.revision
        raise ZeroDivisionError
    Note.objects.create(text="two")
    bring_up_to_date("note")
    collection.refresh_from_db()
    assert collection.revision == revision
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()


def test_purged_tombstones_are_noticed(collection, backend, bring_up_to_date):
    catch_up(collection, backend)
    Note.objects.filter(text="note3").delete()
    bring_up_to_date("note")
    Document.objects.filter(deleted_at__isnull=False).delete_rows()
    collection.refresh_from_db()
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()


def test_who_read_the_record_earlier_loads_nothing_anew(collection, backend, bring_up_to_date):
    """A query may be embedded slowly, while other threads' searches go on."""
    Note.objects.create(text="new")
    bring_up_to_date("note")
    catch_up(Collection.objects.get(), backend)
    backend.upserted = 0
    catch_up(collection, backend)
    assert backend.upserted == 0
    assert ids(backend, collection) == live_ids()


def test_a_lost_copy_is_loaded_once_by_all_who_miss_it(collection, backend):
    catch_up(collection, backend)
    backend.drop(copy_of(backend, collection))
    backend.upserted = 0
    for _ in range(3):
        forget(collection, backend)
        catch_up(collection, backend)
    assert backend.upserted == 20


def test_a_replica_that_lags_behind_is_not_asked(collection, backend, bring_up_to_date, settings):
    """The record is read where it is written."""
    catch_up(collection, backend)
    Note.objects.create(text="new")
    bring_up_to_date("note")
    settings.DATABASE_ROUTERS = ["tests.testapp.routers.ReplicaRouter"]
    catch_up(Collection.objects.get(), backend)
    assert ids(backend, collection) == live_ids()


def test_a_copy_that_somebody_dropped_is_loaded_again(collection, backend, bring_up_to_date):
    catch_up(collection, backend)
    backend.drop(copy_of(backend, collection))
    Note.objects.create(text="new")
    bring_up_to_date("note")
    collection.refresh_from_db()
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()


def test_a_search_recovers_from_a_collection_dropped_under_it(collection, found):
    found(NOTES, "note1")
    backend = vector_backends["default"]
    backend.drop(catch_up(collection, backend))
    assert found(NOTES, "note1", limit=1) == ["note1"]


def test_a_replaced_collection_gives_its_memory_back(
    collection, backend, bring_up_to_date, monkeypatch
):
    old = catch_up(collection, backend)
    bring_up_to_date("note", rebuild=True)
    active = Collection.objects.get(state=Collection.State.ACTIVE)
    new = catch_up(active, backend)
    assert set(backend.collections()) == {old.name, new.name}  # a search may still read the old
    monkeypatch.setattr(catching_up, "_LONGEST_SNAPSHOT", -1)
    catch_up(active, backend)
    assert backend.collections() == [new.name]


def test_searches_go_on_in_the_old_copy_while_a_new_one_is_loaded(
    collection, backend, bring_up_to_date
):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Note.objects.create(text="never")
        bring_up_to_date("note")
        old = catch_up(Collection.objects.get(), backend)
        raise ZeroDivisionError
    seen = []
    backend.before = lambda: seen.append(backend.count(old))
    new = catch_up(Collection.objects.get(), backend)
    assert seen
    assert set(seen) == {21}
    assert new != old
    assert backend.collections() == [new.name]


def test_a_load_that_fails_leaves_nothing_behind(collection, backend):
    def fail():
        raise MemoryError

    backend.before = fail
    with pytest.raises(MemoryError):
        catch_up(collection, backend)
    assert backend.collections() == []
    backend.before = lambda: None
    catch_up(collection, backend)
    assert ids(backend, collection) == live_ids()


def test_copies_of_tenants_stay_beside_each_other(collection, backend, monkeypatch):
    """Two schemas may even hold the same rows, if one was cloned from the other."""
    for tenant in ["one", "two"] * 10:
        monkeypatch.setattr(catching_up, "place", lambda tenant=tenant: ("default", tenant))
        catch_up(collection, backend)
    assert backend.upserted == 2 * 20
    assert len(backend.collections()) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# What Python warns of is what is tested.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_search_leaves_the_child_able_to_search():
    def search():
        with catching_up._copies_lock:
            searching.set()
            forked.wait(0.2)

    searching, forked = threading.Event(), threading.Event()
    thread = threading.Thread(target=search)
    thread.start()
    searching.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)  # kills it, if it waits for ever
        forget(Collection(name="notes"), OracleBackend())
        os._exit(0)
    forked.set()
    thread.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
