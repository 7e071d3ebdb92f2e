"""Keeps copies of collections in this process's memory up to date with the index tables.

Before a search, `catch_up` compares the revision in the index tables with the revision of this
process's copy, and streams the difference into the backend. The first load is the difference
from revision 0. Then it compares the number of documents and the XOR of their ids, and loads the
whole collection again if they differ. Revisions alone do not suffice after a transaction was
rolled back, a database was restored, or tombstones were purged.

A load fills a new collection of the backend, beside the copy that serves searches, and takes its
place when it is complete. So no search sees a part of a collection.

If the backend can, the processes of a machine share what they have loaded by a file; see
`snapshots`. A new process begins with the state in the file, and applies what is newer. A new file
is written when many changes came after it, or an hour after the first deletion, so that no file
keeps a deleted document for longer. A thread writes it. If that takes longer than a second,
searches go on with the state that is being written. The next search maps the file.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from uuid import uuid4

from django.db import Error, connections, transaction

from ..backends.base import CollectionSpec, VectorBackend
from ..contract.records import RecordBatch
from ..exceptions import CollectionNotFound
from ..models.tables import Collection, index_database, xor
from ..models.tenants import place
from .batches import deleted_after, written_after, xor_of
from .file_writer import finish, write_later
from .measuring import keep
from .snapshots import FileId, SnapshotFile, State, delete_outdated, snapshot_file

_ATTEMPTS = 5

#: A batch of this size stays in the processor's cache, so that loading is a fifth faster than
#: with batches of 2,000.
_BATCH_SIZE = 500

#: The seconds after which a copy that matched no reader's row counts as outdated. Until then,
#: transactions that began earlier may still see the index tables as they were.
_LONGEST_SNAPSHOT = 60.0

#: The seconds that the first search of a process waits while another one loads the collection. That
#: may take minutes, and all processes together would take longer. If the other process ends, the
#: wait ends too. It does not if the process hangs: then this one loads the collection itself.
_LONGEST_WAIT = 900.0

#: The seconds that one search waits while a thread reads the records for a file. Few collections
#: take longer, so nearly always it finds what was saved before it. Later searches do not wait.
_LONGEST_PAUSE = 1.0

#: How often a process with changes of its own looks whether to map another file, in seconds.
_SHARE_EVERY = 60.0

#: A new file is written when the changes of this share of the documents came after the last one,
#: or, in small collections, of so many documents.
_CHANGED_SHARE, _FEWEST_CHANGED = 0.05, 1_000


@dataclass(kw_only=True)
class _Loaded:
    """The state of a complete copy. A change makes a new one."""

    #: The collection of the backend, which has a name of its own.
    spec: CollectionSpec
    revision: int
    count: int = 0
    checksum: int = 0
    #: Whether the transaction that was read from is committed, as far as is known.
    is_committed: bool = False
    #: The state in the file that the copy is mapped from, if it is.
    shared: State | None = None
    #: The number of documents that were written or deleted since, and of those deleted.
    changed: int = 0
    deleted: int = 0

    @property
    def is_worn(self) -> bool:
        """Whether a new file is to take the place of the present one."""
        return (
            self.shared is None
            or self.changed > max(_FEWEST_CHANGED, _CHANGED_SHARE * self.count)
            or (self.deleted > 0 and self.shared.is_old)
        )

    @property
    def state(self) -> State:
        return State(revision=self.revision, count=self.count, checksum=self.checksum)

    def agrees_with(self, collection: Collection) -> bool:
        return self.state.agrees_with(collection)


@dataclass(kw_only=True, eq=False)
class _Copy:
    """This process's copy of a collection, if it is loaded, and the lock for changes of it."""

    loaded: _Loaded | None = None
    #: When the copy last matched the row of a reader.
    matched: float = field(default_factory=time.monotonic)
    #: When to look next whether the copy can be shared with other processes.
    look_at: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)
    #: The file that this process has written, until it looks whether to map it.
    written: FileId | None = None
    #: Held while records change, and while a thread reads them to write them to a file.
    changing: threading.Lock = field(default_factory=threading.Lock)
    #: Whether a search has waited in vain for the thread that reads the records.
    has_waited: bool = False

    def agreeing(self, collection: Collection) -> _Loaded | None:
        """Return the state of the copy if it is as a reader has read the index tables."""
        loaded = self.loaded
        if loaded is None or not loaded.agrees_with(collection):
            return None
        self.matched = time.monotonic()
        return loaded

    def is_newer_than(self, collection: Collection) -> bool:
        """Return whether a reader's transaction sees an earlier state of the index tables.

        A row with a lower revision can also mean that changes were rolled back, or that the
        database was restored. Then the copy must go back as well.
        """
        return (
            self.loaded is not None
            and self.loaded.is_committed
            and self.loaded.revision > collection.revision
            and not _reads_latest()
            and not self.is_outdated
        )

    @property
    def is_worn(self) -> bool:
        """Return whether a new file is to take the place of the present one."""
        return self.loaded is not None and self.loaded.is_worn

    @property
    def may_be_shared(self) -> bool:
        """Return whether to look for another file, or to write one."""
        loaded = self.loaded
        return (
            loaded is not None
            and loaded.is_committed
            and (loaded.is_worn or loaded.deleted > 0)
            and time.monotonic() >= self.look_at
        )

    @property
    def is_outdated(self) -> bool:
        return time.monotonic() - self.matched > _LONGEST_SNAPSHOT


#: The database, the schema and the index of copies.
_Place: TypeAlias = "tuple[tuple[str, str], str]"
_Copies: TypeAlias = "dict[_Place, dict[str, _Copy]]"

_copies: weakref.WeakKeyDictionary[VectorBackend, _Copies] = weakref.WeakKeyDictionary()
_copies_lock = threading.Lock()

if hasattr(os, "register_at_fork"):
    # If another thread held the lock during a fork, the child would wait for the lock for ever,
    # since that thread does not exist in the child.
    os.register_at_fork(
        before=_copies_lock.acquire,
        after_in_parent=_copies_lock.release,
        after_in_child=_copies_lock.release,
    )


def catch_up(collection: Collection, backend: VectorBackend) -> CollectionSpec:
    """Return the collection of a backend to search, up to date with the index tables.

    For a persistent backend, that is the collection itself, and nothing is done.

    Args:
        collection: the active collection, as just read from the database.
        backend: the backend that serves the collection.

    Raises:
        CollectionNotFound: another collection has replaced this collection.
    """
    if backend.persistent:
        return collection.spec
    copies = _copies_of(collection, backend)
    with _copies_lock:
        copy = copies.setdefault(collection.name, _Copy())
    loaded = copy.agreeing(collection)
    if loaded is None or copy.may_be_shared:
        with copy.lock:
            copies[collection.name] = copy  # it may have been dropped a moment ago
            _bring_up_to_date(collection, backend, copy)
            # Read now: later, another thread may be mapping a file with an earlier state.
            loaded = copy.loaded
    if len(copies) > 1:
        _drop_outdated(copies, copy, backend)
    if loaded is None:
        raise CollectionNotFound(f"{backend!r} has just lost {collection}.")
    return loaded.spec


def share_ahead(collection: Collection, backend: VectorBackend, replaced: Collection) -> None:
    """Write the file of a collection that is about to replace another one.

    So the first searches afterwards need not wait for a load. That is worth its memory only where
    processes share the present collection: there is nothing to do if this machine has no file of
    it. If the file cannot be written, the log says why, and the first search loads.

    Args:
        collection: the complete new collection.
        backend: the backend that will serve it.
        replaced: the active collection.
    """
    present = snapshot_file(replaced, backend)
    if present is None or present.state() is None or not _reads_latest():
        return
    try:
        _read_again(collection)
        catch_up(collection, backend)
        finish()
    except CollectionNotFound:
        pass  # another process was faster
    except Error:
        raise
    except Exception as error:  # noqa: BLE001  # a backend may raise anything, also MemoryError
        present.fail(error)
    finally:
        # The next search of this process maps the file, too.
        copies = _copies_of(collection, backend)
        if (copy := copies.pop(collection.name, None)) and copy.loaded:
            backend.drop(copy.loaded.spec)


def forget(collection: Collection, backend: VectorBackend) -> None:
    """Have a collection loaded again before the next search, if the backend has lost it."""
    copy = _copies_of(collection, backend).get(collection.name)
    if copy is None:
        return
    with copy.lock:
        # Another thread may have loaded the lost collection while this thread waited.
        if copy.loaded and copy.loaded.spec.name not in backend.collections():
            copy.loaded = None


def _bring_up_to_date(collection: Collection, backend: VectorBackend, copy: _Copy) -> None:
    is_shared = copy.loaded is not None and copy.loaded.shared is not None
    file = snapshot_file(collection, backend, least_bytes=0 if is_shared else None)
    if file is None:
        copy.look_at = time.monotonic() + _SHARE_EVERY
        _catch_up(collection, backend, copy)
        return
    has_copy = copy.loaded is not None or _restore(collection, backend, copy, file)
    if has_copy and _catch_up(collection, backend, copy, may_load=False):
        if copy.may_be_shared:
            _share(collection, backend, copy, file)
        return
    # One process loads the collection. The others wait, and share what it has loaded.
    # None of them writes a file within a transaction, which may be rolled back.
    with ExitStack() as turn:
        wait = _LONGEST_WAIT if _reads_latest() else 0
        is_my_turn = turn.enter_context(file.turn(wait=wait))
        # The process that loaded it may have read a later revision.
        _read_again(collection)
        _restore(collection, backend, copy, file)
        _catch_up(collection, backend, copy)
        if is_my_turn and copy.is_worn:
            _write(backend, copy, file, turn)


def _share(collection: Collection, backend: VectorBackend, copy: _Copy, file: SnapshotFile) -> None:
    """Map the file that another process has written meanwhile, or write one if it is time."""
    copy.look_at = time.monotonic() + _SHARE_EVERY
    loaded = copy.loaded
    if loaded is None or (loaded.shared and not loaded.is_worn and file.exists_as(loaded.shared)):
        return
    with ExitStack() as turn:
        if not turn.enter_context(file.turn(wait=0)):
            return
        written, copy.written = copy.written, None
        is_restored = _restore(collection, backend, copy, file, own=written)
        _catch_up(collection, backend, copy)
        # A process of another release may just have replaced what this process has written, since
        # it cannot read it. Both would go on with that.
        if not written and (copy.is_worn or not is_restored):
            _write(backend, copy, file, turn)


def _restore(
    collection: Collection,
    backend: VectorBackend,
    copy: _Copy,
    file: SnapshotFile,
    *,
    own: FileId | None = None,
) -> bool:
    """Let the copy be what a file holds; return whether there is a file of use.

    The file that the copy is mapped from is of no use. Nor is one with an older state, unless that
    is the state of the index tables, as after a database was restored.
    """
    previous, state = copy.loaded, file.state()
    if state is None or (previous and not _is_of_use(state, previous, collection)):
        return False
    spec = replace(collection.spec, name=_name_of_copy(collection))
    if (state := file.restore(spec, backend, own=own)) is None:
        return False
    copy.loaded = _Loaded(
        spec=spec,
        revision=state.revision,
        count=state.count,
        checksum=state.checksum,
        is_committed=True,
        shared=state,
    )
    copy.matched = time.monotonic()
    if previous:
        backend.drop(previous.spec)
    return True


def _is_of_use(state: State, loaded: _Loaded, collection: Collection) -> bool:
    is_past = state.revision <= collection.revision
    if loaded.shared is None:
        return is_past
    is_another = state.file != loaded.shared.file
    is_newer = is_past and loaded.shared.revision <= state.revision
    return is_another and (is_newer or state.agrees_with(collection))


def _write(backend: VectorBackend, copy: _Copy, file: SnapshotFile, turn: ExitStack) -> None:
    """Let a thread write the copy's state to the file, which the next search then maps.

    The thread takes over this process's turn, and ends it.
    """
    loaded = copy.loaded
    if loaded is None or not loaded.is_committed or file.has_failed:
        return
    copy.look_at = time.monotonic() + _SHARE_EVERY
    delete_outdated(backend)
    taken_over = turn.pop_all()

    def write() -> None:
        with taken_over:
            written = _written(backend, copy, file)
        if written:  # after the turn, which the next search needs to map the file
            copy.written, copy.look_at = written, 0.0

    try:
        write_later(write)
    except BaseException as error:
        taken_over.close()
        if not isinstance(error, RuntimeError):  # the process ends, or has too many threads
            raise


def _written(backend: VectorBackend, copy: _Copy, file: SnapshotFile) -> FileId | None:
    """Write the copy's state to the file, and return None if that failed."""
    try:
        with copy.changing:
            loaded = copy.loaded
            if loaded is None or not loaded.is_committed:
                return None
            is_stored = file.write(loaded.state, backend.snapshot(loaded.spec))
        return file.publish() if is_stored else None
    except CollectionNotFound:
        return None  # another state has replaced it
    except Exception as error:  # noqa: BLE001  # also MemoryError: the copy serves without a file
        file.fail(error)
        return None


def _catch_up(
    collection: Collection, backend: VectorBackend, copy: _Copy, *, may_load: bool = True
) -> bool:
    """Bring a copy up to date; return False if only a load could, and there may be none."""
    if copy.agreeing(collection):
        return True
    if copy.loaded is None or copy.loaded.revision >= collection.revision:
        # Usually, another thread has read a later revision than this thread, and a look at the
        # row avoids a load.
        _read_again(collection)
    for _ in range(_ATTEMPTS):
        loaded = copy.loaded
        if copy.agreeing(collection) or copy.is_newer_than(collection):
            return True
        if loaded and 0 < loaded.revision < collection.revision:
            pause = 0.0 if copy.has_waited else _LONGEST_PAUSE
            copy.has_waited = not copy.changing.acquire(timeout=pause)
            if copy.has_waited:
                # A thread reads the copy for a file. No search waits for the disk for long, but
                # finds what was there when the thread began, without what was deleted since.
                return True
            try:
                _apply_difference(collection, backend, copy, loaded)
            finally:
                copy.changing.release()
        elif may_load:
            _load(collection, backend, copy)
        else:
            return False
        _read_again(collection)
    # Other processes write faster than this process reads. Its copy is consistent, and as new
    # as the start of the search.
    return True


def _read_again(collection: Collection) -> None:
    try:
        collection.refresh_from_db(using=index_database())
    except Collection.DoesNotExist:
        collection.state = Collection.State.RETIRED
    if collection.state not in (Collection.State.BUILDING, Collection.State.ACTIVE):
        raise CollectionNotFound(f"{collection} was replaced a moment ago.")


def _load(collection: Collection, backend: VectorBackend, copy: _Copy) -> None:
    """Load a collection beside the present copy, and replace that copy by it."""
    spec = replace(collection.spec, name=_name_of_copy(collection))
    loaded = _Loaded(spec=spec, revision=collection.revision)
    try:
        backend.create(loaded.spec)
        for batch in written_after(collection, 0, _BATCH_SIZE):
            backend.upsert(loaded.spec, batch)
            loaded.count += len(batch)
            loaded.checksum ^= xor_of(batch)
        loaded.spec = replace(loaded.spec, recall=backend.optimize(loaded.spec))
    except BaseException:
        backend.drop(loaded.spec)
        raise
    previous = copy.loaded
    _finish(copy, loaded)
    if previous is not None:
        backend.drop(previous.spec)
    if not connections[index_database()].in_atomic_block:
        # The next process need not measure again. In a caller's transaction, this would lock the
        # collection's row, and changes would have to wait. A read-only database still serves.
        with suppress(Error):
            keep(collection, loaded.spec.recall)


def _name_of_copy(collection: Collection) -> str:
    return f"{collection.name[:31].rstrip('_')}_{uuid4().hex[:16]}"


def _apply_difference(
    collection: Collection, backend: VectorBackend, copy: _Copy, loaded: _Loaded
) -> None:
    """Apply the changes after the revision of the present copy.

    Documents may be written while they are read. Then the next round meets documents that the
    backend has already, so those are not counted again.
    """
    deleted = deleted_after(collection, loaded.revision)
    changed = replace(loaded, revision=collection.revision, is_committed=False)
    try:
        for batch in written_after(collection, loaded.revision):
            _upsert(backend, changed, batch)
        held = backend.get(loaded.spec, deleted)
        backend.delete(loaded.spec, deleted)
    except CollectionNotFound:
        copy.loaded = None
        backend.drop(loaded.spec)
        return
    except BaseException:
        # Changes may be half-written, so the next search loads everything.
        copy.loaded = None
        backend.drop(loaded.spec)
        raise
    changed.count -= len(held)
    changed.changed += len(held)
    changed.deleted += len(held)
    changed.checksum ^= xor_of(held)
    _finish(copy, changed)


def _upsert(backend: VectorBackend, changed: _Loaded, batch: RecordBatch) -> None:
    held = set(backend.get(changed.spec, batch.uuids).uuids)
    backend.upsert(changed.spec, batch)
    new = [id for id in batch.uuids if id not in held]
    changed.count += len(new)
    changed.changed += len(new)
    changed.checksum ^= xor(new)


def _finish(copy: _Copy, loaded: _Loaded) -> None:
    """Let searches use a new state, and note whether what it was read from is committed."""
    copy.loaded, copy.matched = loaded, time.monotonic()
    connection: Any = connections[index_database()]

    def note_commit() -> None:
        # Tests run such callbacks within a transaction that they roll back in the end.
        loaded.is_committed = not connection.in_atomic_block

    if connection.in_atomic_block:
        transaction.on_commit(note_commit, using=connection.alias, robust=True)
    else:
        loaded.is_committed = _reads_latest()


def _reads_latest() -> bool:
    """Return whether each query sees all that is committed, and nothing else."""
    return bool(connections[index_database()].get_autocommit())


def _copies_of(collection: Collection, backend: VectorBackend) -> dict[str, _Copy]:
    """Return the copies of an index's collections in the current database and schema."""
    with _copies_lock:
        by_place = _copies.setdefault(backend, defaultdict(dict))
        return by_place[place(), collection.index]


def _drop_outdated(copies: dict[str, _Copy], kept: _Copy, backend: VectorBackend) -> None:
    """Free the memory of the collections that were replaced, once no search reads them."""
    for name, copy in list(copies.items()):
        if copy is kept or not copy.is_outdated or not copy.lock.acquire(blocking=False):
            continue  # in use, or being loaded
        try:
            if copy.loaded is not None:
                backend.drop(copy.loaded.spec)
                copy.loaded = None
            copies.pop(name, None)
        finally:
            copy.lock.release()
