"""Processes of a machine share the NumPy backend's collections by a file."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ConnectionHandler
from django.test.utils import CaptureQueriesContext

from tests.testapp.models import Note
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexing import catching_up, snapshots
from wagtail_vector_index.indexing.catching_up import catch_up
from wagtail_vector_index.indexing.cleaning import clean_up
from wagtail_vector_index.indexing.file_writer import finish, write_later
from wagtail_vector_index.indexing.snapshots import SnapshotFile
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(os.name != "posix", reason="processes share nothing elsewhere"),
]


place_name = snapshots._place_name
LONGEST_WAIT, SHARE_EVERY = catching_up._LONGEST_WAIT, catching_up._SHARE_EVERY


class Process:
    """What a process of the site has: a backend of its own, with its own copies."""

    def __init__(self, folder: Path | None, kind=NumpyBackend, **options) -> None:
        options = kind.Options(snapshot_folder=folder and str(folder), **options)
        self.backend = counting(kind)("default", options)

    def ids(self):
        """Catch up as a search does, and return all ids. Files are written by then."""
        spec = catch_up(Collection.objects.get(state=Collection.State.ACTIVE), self.backend)
        finish()
        return {id for batch in self.backend.scan(spec) for id in batch.uuids}

    def texts_read(self):
        """Catch up, and return how many queries read vectors."""
        with CaptureQueriesContext(connection) as queries:
            self.ids()
        return sum("wvi_embedding" in query["sql"] for query in queries)

    def records_read(self):
        """Catch up, and return how many records the backend was sent."""
        before = self.backend.upserted
        self.ids()
        return self.backend.upserted - before


def counting(kind):
    class Counting(kind):
        """Counts the records that it is sent."""

        upserted = 0

        def _upsert(self, spec, batch):
            super()._upsert(spec, batch)
            self.upserted += len(batch)

    return Counting


def _finish_as_committed(copy, loaded):
    copy.loaded, copy.matched = loaded, time.monotonic()
    loaded.is_committed = True


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture(autouse=True)
def _shared(folder, monkeypatch, settings, request):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "numpy", "SNAPSHOT_FOLDER": str(folder)}
    }
    monkeypatch.setattr(snapshots, "LEAST_BYTES", 1)
    # The tests' database is in memory, so no other process could share it.
    monkeypatch.setattr(snapshots, "_place_name", lambda: "tests")
    monkeypatch.setattr(snapshots, "_failed", {})
    monkeypatch.setattr(catching_up, "_LONGEST_WAIT", 0)
    # Each search looks for another file, not one in a minute.
    monkeypatch.setattr(catching_up, "_SHARE_EVERY", 0)
    if "transactional_db" not in request.fixturenames:
        # Most tests are in a transaction, which is as if it were committed.
        monkeypatch.setattr(catching_up, "_finish", _finish_as_committed)


@pytest.fixture
def notes():
    notes = [Note.objects.create(text=f"note{number}") for number in range(20)]
    update(Note.vector_index)
    return notes


@pytest.fixture
def process(folder):
    return lambda: Process(folder)


def live_ids():
    live = Document.objects.filter(collection__state=Collection.State.ACTIVE, deleted_at=None)
    return set(live.values_list("pk", flat=True))


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".snapshot", ".new"))


@pytest.fixture
def wait(monkeypatch):
    """Let a file be as old as after some seconds."""
    now = time.time

    def later(seconds):
        monkeypatch.setattr(snapshots.time, "time", lambda: now() + seconds)

    return later


def delete(note):
    note.delete()
    update(Note.vector_index)


@pytest.mark.usefixtures("notes")
def test_the_second_process_loads_nothing(process, folder):
    assert process().texts_read()
    second = process()
    assert second.texts_read() == 0
    assert second.ids() == live_ids()


@pytest.mark.usefixtures("notes")
def test_the_second_process_builds_no_graph(folder, monkeypatch):
    """With the example of a backend that is not NumPy's."""
    kind = pytest.importorskip("usearch_wagtail_vectors.backend").UsearchBackend
    graph = pytest.importorskip("usearch_wagtail_vectors.graph").Graph
    linked, add = [], graph.add

    def count(graph, rows, vectors):
        linked.extend(rows)
        add(graph, rows, vectors)

    monkeypatch.setattr(graph, "add", count)
    for _ in range(3):
        assert Process(folder, kind, graph_from=1).ids() == live_ids()
    assert len(linked) == 20
    assert len([path for path in folder.rglob("*") if path.suffix != ".lock"]) == 3


def test_databases_of_two_services_share_no_folder(monkeypatch):
    def folder_of(**options):
        database = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": options}
        monkeypatch.setattr(snapshots, "connections", ConnectionHandler({"default": database}))
        return place_name()

    production = folder_of(service="production", assume_role="site")
    assert folder_of(service="staging", assume_role="site") != production
    assert folder_of(assume_role="site", service="production", pool=True) == production


@pytest.mark.usefixtures("notes")
def test_each_process_sees_what_is_written_later(process):
    first, second = process(), process()
    first.ids(), second.ids()
    Note.objects.create(text="later")
    update(Note.vector_index)
    assert first.ids() == second.ids() == process().ids() == live_ids()


def test_each_process_sees_what_is_deleted_later(process, notes):
    first, second = process(), process()
    first.ids(), second.ids()
    delete(notes[3])
    assert first.ids() == second.ids() == process().ids() == live_ids()


def test_one_process_loads_what_the_copies_of_others_lack(process, notes):
    """The tombstone of a deleted record goes after an hour, in which no process has searched."""
    processes = [process() for _ in range(4)]
    for each in processes:
        each.ids()
    delete(notes[3])
    clean_up(at_once=True)
    assert [each.records_read() for each in processes] == [19, 0, 0, 0]
    assert all(each.ids() == live_ids() for each in processes)


@pytest.mark.usefixtures("transactional_db")
def test_what_changes_while_a_process_waits_is_shared_too(process, notes, monkeypatch):
    first, second = process(), process()
    first.ids(), second.ids()
    delete(notes[3])
    clean_up(at_once=True)
    turn = SnapshotFile.turn

    def turn_after_another(file, *, wait):
        monkeypatch.setattr(SnapshotFile, "turn", turn)
        Note.objects.create(text="later")
        update(Note.vector_index)
        first.ids()
        return turn(file, wait=wait)

    monkeypatch.setattr(SnapshotFile, "turn", turn_after_another)
    assert second.records_read() == 0
    assert second.ids() == live_ids()


@pytest.mark.usefixtures("transactional_db", "notes")
def test_the_first_search_waits_for_a_load_that_takes_minutes(process, monkeypatch):
    first, second, now, loading = process(), process(), time.monotonic(), ExitStack()

    def sleep(seconds):
        nonlocal now
        now += 240
        if now > start + 300:
            loading.close()
            first.ids()

    start = now
    clock = SimpleNamespace(time=time.time, monotonic=lambda: now, sleep=sleep)
    monkeypatch.setattr(snapshots, "time", clock)
    monkeypatch.setattr(catching_up, "_LONGEST_WAIT", LONGEST_WAIT)
    file = snapshots.snapshot_file(Collection.objects.get(), first.backend)
    assert loading.enter_context(file.turn(wait=0))
    with loading:
        assert second.records_read() == 0
    assert second.ids() == live_ids()


@pytest.mark.usefixtures("transactional_db", "notes")
def test_a_restored_database_is_loaded_once(process):
    """Its revision is lower than those of the copies and of their file."""
    first, second = process(), process()
    row = Collection.objects.get()
    Note.objects.create(text="not in the backup")
    update(Note.vector_index)
    first.ids(), second.ids()
    Document.objects.latest("revision").delete()
    Collection.objects.update(
        revision=row.revision, document_count=row.document_count, document_xor=row.document_xor
    )
    assert [each.records_read() for each in (first, second)] == [20, 0]
    assert first.ids() == second.ids() == live_ids()


@pytest.mark.usefixtures("notes")
def test_only_this_user_may_read_files(process, folder):
    process().ids()
    [file] = files(folder)
    assert [path.stat().st_mode & 0o077 for path in (file, *file.parents[:2])] == [0, 0, 0]


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("depth", [0, 1])
def test_what_others_could_have_written_is_not_read(process, folder, depth):
    process().ids()
    [file] = files(folder)
    (file, *file.parents)[2 * depth].chmod(0o777)
    second = process()
    assert second.texts_read()
    assert second.ids() == live_ids()


@pytest.mark.usefixtures("notes")
def test_what_another_user_has_made_is_not_used(process, folder, monkeypatch, caplog):
    user = os.geteuid()
    (folder / f"wagtail-vector-index-{user + 1}").mkdir(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with caplog.at_level(logging.WARNING, logger=snapshots.logger.name):
        assert process().ids() == process().ids() == live_ids()
    assert len([record for record in caplog.records if "another user" in record.message]) == 1
    assert files(folder) == []


def end(data):
    return data[:-1]


def begin(data):
    return b"x" + data[1:]


def header(data):
    return data.replace(b'"revision"', b'"Revision"', 1)


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("damage", [end, begin, header, lambda data: b""])
def test_a_damaged_file_is_replaced(process, folder, damage):
    process().ids()
    [file] = files(folder)
    whole = file.read_bytes()
    file.unlink()  # the first process has it in its memory
    file.touch(0o600)
    file.write_bytes(damage(whole))
    assert process().ids() == live_ids()
    assert process().texts_read() == 0


@pytest.mark.usefixtures("notes")
def test_a_full_disk_is_reported_once(process, folder, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with caplog.at_level(logging.WARNING, logger=snapshots.logger.name):
        for _ in range(3):
            assert process().ids() == live_ids()
    assert len([record for record in caplog.records if "No space left" in record.message]) == 1
    assert files(folder) == []


def _read_instead(descriptor, offset, size):
    """As the C library of Linux does if the file system cannot reserve room."""
    os.pread(descriptor, 1, offset)


def _refuse(descriptor, offset, size):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("reserve", [_read_instead, _refuse])
def test_a_file_system_need_not_reserve_room(process, monkeypatch, reserve):
    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    process().ids()
    assert process().texts_read() == 0


@pytest.mark.usefixtures("notes")
def test_sharing_can_be_switched_off(folder):
    assert Process(None).ids() == live_ids()
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("notes")
def test_what_a_killed_process_has_left_is_overwritten(process, folder):
    process().ids()
    [file] = files(folder)
    file.rename(file.with_suffix(".new"))
    assert process().ids() == live_ids()
    assert files(folder) == [file]


@pytest.fixture
def written(monkeypatch):
    """The files that are written, while each search looks for another file at the usual times."""
    files, write = [], SnapshotFile.write
    monkeypatch.setattr(catching_up, "_SHARE_EVERY", SHARE_EVERY)

    def count(file, state, snapshot):
        files.append(snapshot.format)
        return write(file, state, snapshot)

    monkeypatch.setattr(SnapshotFile, "write", count)
    return files


def no_memory(*arguments, **options):
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def other_format(backend, spec, snapshot):
    raise ValueError("its format is another one")


def surprise(backend, spec, snapshot):
    raise KeyError("rows")


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize(
    ("where", "name", "fail"),
    [
        (snapshots.mmap, "mmap", no_memory),
        (NumpyBackend, "_restore", other_format),
        (NumpyBackend, "_restore", surprise),
    ],
)
def test_a_file_that_cannot_be_mapped_is_written_once(
    process, monkeypatch, written, caplog, where, name, fail
):
    monkeypatch.setattr(where, name, fail)
    first = process()
    with caplog.at_level(logging.WARNING, logger=snapshots.logger.name):
        for _ in range(5):
            assert first.ids() == live_ids()
    assert len(written) == 1
    assert len([record for record in caplog.records if "cannot share" in record.message]) == 1


@pytest.mark.usefixtures("notes")
def test_processes_of_two_releases_write_a_file_each(folder, process, written):
    """During a deployment, they cannot read each other's file."""
    old, new = process(), process()
    new.backend = NumpyBackend(
        "default", NumpyBackend.Options(snapshot_folder=str(folder), quantization="binary")
    )
    for _ in range(5):
        assert old.ids() == new.ids() == live_ids()
    assert len(written) == 2


@pytest.fixture
def slow_disk(monkeypatch):
    """Let a file take its place no sooner than `go_on` is set; `waits` is set before."""
    waits, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def fsync_later(descriptor):
        waits.set()
        go_on.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_later)
    yield SimpleNamespace(waits=waits, go_on=go_on)
    go_on.set()
    finish()


def search(process):
    """Catch up, and return how many records there are, while a file may be being written."""
    return process.backend.count(catch_up(Collection.objects.get(), process.backend))


@pytest.mark.usefixtures("notes")
def test_no_search_waits_for_the_disk(process, folder, slow_disk):
    first = process()
    assert search(first) == 20
    slow_disk.waits.wait()
    Note.objects.create(text="later")
    update(Note.vector_index)
    assert search(first) == 21
    assert [file.suffix for file in files(folder)] == [".new"]
    slow_disk.go_on.set()
    finish()
    assert [file.suffix for file in files(folder)] == [".snapshot"]
    assert first.ids() == process().ids() == live_ids()


@pytest.mark.usefixtures("notes")
def test_cleaning_leaves_alone_what_is_being_written(process, slow_disk):
    search(process())
    slow_disk.waits.wait()
    clean_up(at_once=True)
    slow_disk.go_on.set()
    finish()
    assert process().texts_read() == 0


@pytest.fixture
def slow_write(monkeypatch):
    """Let a thread read the records for a file no sooner than `go_on` is set."""
    waits, go_on, write = threading.Event(), threading.Event(), SnapshotFile.write

    def write_when_told(file, state, snapshot):
        waits.set()
        go_on.wait(20)
        return write(file, state, snapshot)

    monkeypatch.setattr(SnapshotFile, "write", write_when_told)
    yield SimpleNamespace(waits=waits, go_on=go_on)
    go_on.set()
    finish()


@pytest.mark.usefixtures("notes")
def test_no_search_waits_for_the_records_to_be_written(process, slow_write):
    """Until then, it finds what was there before, and the file holds just that."""
    first = process()
    assert search(first) == 20
    slow_write.waits.wait(20)
    Note.objects.create(text="later")
    update(Note.vector_index)
    in_time = threading.Timer(10, slow_write.go_on.set)
    in_time.start()
    assert search(first) == 20
    assert not slow_write.go_on.is_set()
    in_time.cancel()
    slow_write.go_on.set()
    finish()
    assert search(first) == 21
    assert first.ids() == process().ids() == live_ids()


@pytest.mark.usefixtures("notes")
def test_a_file_that_waits_for_another_holds_up_no_change(process):
    first, others = process(), threading.Event()
    write_later(lambda: others.wait(20))
    assert search(first) == 20
    Note.objects.create(text="later")
    update(Note.vector_index)
    in_time = threading.Timer(10, others.set)
    in_time.start()
    assert search(first) == 21
    assert not others.is_set()
    in_time.cancel()
    others.set()
    finish()
    assert process().texts_read() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("notes")
def test_a_fork_waits_for_the_file(process, folder, slow_disk):
    # Called before the fork waits, since it was registered later.
    os.register_at_fork(before=slow_disk.go_on.set)
    search(process())
    slow_disk.waits.wait()
    child = os.fork()
    if not child:
        names = [thread.name for thread in threading.enumerate()]
        is_whole = [file.suffix for file in files(folder)] == [".snapshot"]
        os._exit(0 if is_whole and "writing of shared memory" not in names else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.usefixtures("notes")
def test_a_search_needs_no_thread(process, folder, monkeypatch):
    def fail(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    first = process()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        assert search(first) == 20
        Note.objects.create(text="later")
        update(Note.vector_index)
        assert search(first) == 21
    assert first.ids() == process().ids() == live_ids()
    assert files(folder)


def test_the_end_of_a_process_waits_for_the_file():
    code = """
import threading
from wagtail_vector_index.indexing.file_writer import write_later

def write():
    threading.main_thread().join()
    print("written")

write_later(write)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout == "written\n"


@pytest.mark.usefixtures("transactional_db", "notes")
def test_nothing_uncommitted_is_shared(process, folder):
    with transaction.atomic():
        assert process().ids() == live_ids()
        assert files(folder) == []


@pytest.mark.usefixtures("transactional_db", "notes")
def test_a_process_that_loaded_in_a_transaction_shares_later(process, folder):
    first = process()
    with transaction.atomic():
        first.ids()
    first.ids()
    assert process().texts_read() == 0


@pytest.mark.usefixtures("transactional_db")
def test_a_file_of_a_restored_database_is_not_believed(process, notes, folder):
    """The database goes back to a state before the file's, and then forward in another way."""
    first = process()
    first.ids()
    row = Collection.objects.get()
    before = {"revision": row.revision, "count": row.document_count, "xor": row.document_xor}
    Note.objects.create(text="in the file only")
    update(Note.vector_index)
    [file] = files(folder)
    file.unlink()
    process().ids()
    newest = Document.objects.filter(deleted_at=None).latest("revision")
    newest.delete()
    Collection.objects.update(
        revision=before["revision"], document_count=before["count"], document_xor=before["xor"]
    )
    assert process().ids() == first.ids() == live_ids()
    Note.objects.create(text="another")
    update(Note.vector_index)
    assert process().ids() == first.ids() == live_ids()


def test_many_changes_make_a_new_file(process, folder, monkeypatch):
    for number in range(5):
        Note.objects.create(text=f"note{number}")
    update(Note.vector_index)
    monkeypatch.setattr(catching_up, "_FEWEST_CHANGED", 3)
    first, second = process(), process()
    first.ids(), second.ids()
    old = files(folder)[0].stat().st_ino
    for number in range(5, 10):
        Note.objects.create(text=f"note{number}")
    update(Note.vector_index)
    first.ids()
    first.ids()
    assert files(folder)[0].stat().st_ino != old
    assert second.ids() == live_ids()
    assert process().texts_read() == 0


def key_of(note):
    return f'"testapp.note:{note.pk}"'.encode()


def test_a_deleted_record_leaves_the_file_within_an_hour(process, notes, folder, wait):
    first, second = process(), process()
    first.ids(), second.ids()
    [file] = files(folder)
    key = key_of(notes[3])
    delete(notes[3])
    first.ids(), second.ids()
    wait(3_590)
    first.ids()
    assert key in file.read_bytes()
    wait(3_600)
    first.ids(), first.ids(), second.ids()
    assert key not in file.read_bytes()
    # Neither process still maps the old file.
    maps = Path("/proc/self/maps")
    assert not maps.exists() or f"{file} (deleted)" not in maps.read_text()


def test_cleaning_deletes_an_old_file_that_nobody_uses(process, notes, folder, wait):
    process().ids()
    [file] = files(folder)
    delete(notes[3])
    assert clean_up() == []
    assert file.exists()
    wait(3_600)
    clean_up()
    assert not file.exists()


def test_purging_deletes_at_once(process, notes, folder):
    first = process()
    first.ids()
    [file] = files(folder)
    key = key_of(notes[3])
    delete(notes[3])
    first.ids()
    assert key in file.read_bytes()
    call_command("purge_vector_indexes", verbosity=0)
    assert not file.exists()
    # A process that still maps the file leaves it with its next search.
    assert first.ids() == live_ids()
    assert key not in file.read_bytes()


@pytest.mark.usefixtures("notes")
def test_purging_keeps_what_is_true(process, folder):
    process().ids()
    kept = files(folder)
    call_command("purge_vector_indexes", verbosity=0)
    assert files(folder) == kept


@pytest.mark.usefixtures("transactional_db", "notes")
def test_no_process_loads_a_rebuilt_index(process):
    first, second = process(), process()
    first.ids(), second.ids()
    update(Note.vector_index, rebuild=True)
    assert [each.records_read() for each in (first, second, process())] == [0, 0, 0]
    assert first.ids() == second.ids() == live_ids()


@pytest.mark.usefixtures("transactional_db", "notes")
def test_a_rebuild_loads_nothing_where_no_process_searches(folder):
    update(Note.vector_index, rebuild=True)
    assert files(folder) == []
    assert vector_backends["default"].collections() == []


@pytest.mark.usefixtures("transactional_db", "notes")
def test_a_rebuild_needs_no_file(process, monkeypatch):
    first = process()
    first.ids()
    monkeypatch.setattr(NumpyBackend, "snapshot", _fail)
    update(Note.vector_index, rebuild=True)
    assert vector_backends["default"].collections() == []
    assert first.ids() == live_ids()


def _fail(backend, spec):
    raise MemoryError


@pytest.mark.usefixtures("notes")
def test_the_file_of_a_replaced_collection_is_deleted(process, folder):
    process().ids()
    [file] = files(folder)
    update(Note.vector_index, rebuild=True)
    clean_up(at_once=True)
    assert not file.exists()


@pytest.mark.usefixtures("notes")
def test_cleaning_follows_no_link_of_another_user(process, folder, tmp_path_factory):
    precious = tmp_path_factory.mktemp("site") / "settings.py"
    precious.touch()
    process().ids()
    [file] = files(folder)
    file.parent.rename(folder / "moved")
    file.parent.symlink_to(precious.parent, target_is_directory=True)
    clean_up(at_once=True)
    assert precious.exists()
    assert process().ids() == live_ids()


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_a_search_needs_no_file(process, folder, monkeypatch, error):
    def fail(backend, spec):
        raise error

    monkeypatch.setattr(NumpyBackend, "snapshot", fail)
    assert process().ids() == live_ids()
    assert files(folder) == []


@pytest.mark.usefixtures("notes")
def test_what_no_backend_shares_any_more_is_deleted(process, folder, monkeypatch, settings):
    monkeypatch.setattr(snapshots.tempfile, "gettempdir", lambda: str(folder))
    process().ids()
    clean_up(at_once=True)
    assert files(folder)
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "numpy", "SNAPSHOT_FOLDER": None}
    }
    clean_up()
    assert files(folder) == []
