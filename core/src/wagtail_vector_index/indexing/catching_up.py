"""Keeps collections that live in this process up to date with the record.

Before a search, the reader compares the record's revision with the one this process has
applied, and streams the difference into the backend; the first load is the difference
from revision 0. Then it compares the number of documents and the XOR of their ids, and
loads anew if they differ: after a rolled-back transaction, a restored database, or once
tombstones were purged, revisions alone don't tell.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field

from ..backends.base import CollectionSpec, VectorBackend
from ..contract.records import RecordBatch
from ..exceptions import CollectionNotFound
from ..models.tables import Collection, index_database, xor
from .batches import deleted_after, written_after, xor_of

_ATTEMPTS = 5

#: A batch that stays in the processor's cache is loaded a fifth faster than one of 2,000.
_BATCH_SIZE = 500


@dataclass
class _Applied:
    """What this process's copy of a collection holds."""

    spec: CollectionSpec
    index: str
    #: None: nothing was loaded yet.
    revision: int | None = None
    count: int = 0
    checksum: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def agrees_with(self, collection: Collection) -> bool:
        return (self.revision, self.count, self.checksum) == (
            collection.revision,
            collection.document_count,
            collection.document_xor.int,
        )


_applied: weakref.WeakKeyDictionary[VectorBackend, dict[str, _Applied]] = (
    weakref.WeakKeyDictionary()
)
_applied_lock = threading.Lock()

if hasattr(os, "register_at_fork"):
    # A child made while a thread holds it would wait for that thread, which it doesn't have.
    os.register_at_fork(
        before=_applied_lock.acquire,
        after_in_parent=_applied_lock.release,
        after_in_child=_applied_lock.release,
    )


def catch_up(collection: Collection, backend: VectorBackend) -> None:
    """Make a backend of this process hold what the record holds.

    Args:
        collection: the active collection, as just read from the database.
        backend: the one that serves it; one that is persistent is left alone.

    Raises:
        CollectionNotFound: another collection has replaced it.
    """
    if backend.persistent:
        return
    state = _state(collection, backend)
    if state.agrees_with(collection):
        return
    with state.lock:
        _catch_up(collection, backend, state)
    _drop_others(collection, backend)


def forget(collection: Collection, backend: VectorBackend) -> None:
    """Load a collection anew before the next search, if the backend has lost it."""
    with _applied_lock:
        state = _applied.get(backend, {}).get(collection.name)
    if state is None:
        return
    with state.lock:
        # Another thread may have met the same, and loaded it while this one waited.
        if collection.name not in backend.collections():
            state.revision = None


def _catch_up(collection: Collection, backend: VectorBackend, state: _Applied) -> None:
    if state.revision is None or state.revision >= collection.revision:
        # Mostly, another thread has read the record later than this one: no reason to load.
        _read_again(collection, backend)
    for _ in range(_ATTEMPTS):
        if state.agrees_with(collection):
            return
        if state.revision and state.revision < collection.revision:
            _apply_difference(collection, backend, state, state.revision)
        else:
            _load(collection, backend, state)
        _read_again(collection, backend)
    # Others write faster than this process reads. What it holds is consistent, and as
    # new as the moment at which the search began.


def _read_again(collection: Collection, backend: VectorBackend) -> None:
    """Read a collection's row; one that was replaced goes, lest it drive out the new one."""
    collection.refresh_from_db(using=index_database())
    if collection.state == Collection.State.RETIRED:
        with _applied_lock:
            _applied[backend].pop(collection.name, None)
        backend.drop(collection.spec)
        raise CollectionNotFound(f"{collection} was replaced a moment ago.")


def _load(collection: Collection, backend: VectorBackend, state: _Applied) -> None:
    state.revision, state.count, state.checksum = None, 0, 0
    backend.drop(collection.spec)
    backend.create(collection.spec)
    revision = collection.revision
    for batch in written_after(collection, 0, _BATCH_SIZE):
        backend.upsert(collection.spec, batch)
        state.count += len(batch)
        state.checksum ^= xor_of(batch)
    state.revision = revision
    backend.optimize(collection.spec)


def _apply_difference(
    collection: Collection, backend: VectorBackend, state: _Applied, applied: int
) -> None:
    """Apply what came after the revision that this process has applied.

    The snapshot may be newer than the revision that was read: then the next round finds
    some documents already there, which is why those there are counted out.
    """
    revision = collection.revision
    deleted = deleted_after(collection, applied)
    try:
        for batch in written_after(collection, applied):
            _upsert(collection, backend, state, batch)
        held = backend.get(collection.spec, deleted)
        backend.delete(collection.spec, deleted)
    except CollectionNotFound:
        _load(collection, backend, state)
        return
    except BaseException:
        state.revision = None  # what is half-applied may be half-written: load it anew
        raise
    state.count -= len(held)
    state.checksum ^= xor_of(held)
    state.revision = revision


def _upsert(
    collection: Collection, backend: VectorBackend, state: _Applied, batch: RecordBatch
) -> None:
    held = set(backend.get(collection.spec, batch.uuids).uuids)
    backend.upsert(collection.spec, batch)
    new = [id for id in batch.uuids if id not in held]
    state.count += len(new)
    state.checksum ^= xor(new)


def _state(collection: Collection, backend: VectorBackend) -> _Applied:
    with _applied_lock:
        states = _applied.setdefault(backend, {})
        return states.setdefault(
            collection.name, _Applied(spec=collection.spec, index=collection.index)
        )


def _drop_others(collection: Collection, backend: VectorBackend) -> None:
    """Give back the memory of collections that this one has taken the place of."""
    with _applied_lock:
        states = _applied[backend]
        others = [
            name
            for name, state in states.items()
            if state.index == collection.index and name != collection.name
        ]
        specs = [states.pop(name).spec for name in others]
    for spec in specs:
        backend.drop(spec)
