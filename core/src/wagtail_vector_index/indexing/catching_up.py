"""Keeps collections in this process's memory up to date with the index tables.

Before a search, `catch_up` compares the revision in the index tables with the revision that
this process has applied, and streams the difference into the backend. The first load is the
difference from revision 0. Then it compares the number of documents and the XOR of their ids,
and loads the whole collection again if they differ. Revisions alone do not suffice after a
transaction was rolled back, a database was restored, or tombstones were purged.
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

#: A batch of this size stays in the processor's cache, so that loading is a fifth faster than
#: with batches of 2,000.
_BATCH_SIZE = 500


@dataclass
class _Applied:
    """The state of this process's copy of a collection."""

    spec: CollectionSpec
    index: str
    #: The revision that was applied last; None if nothing was loaded yet.
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
    # If another thread held the lock during a fork, the child would wait for the lock for ever,
    # since that thread does not exist in the child.
    os.register_at_fork(
        before=_applied_lock.acquire,
        after_in_parent=_applied_lock.release,
        after_in_child=_applied_lock.release,
    )


def catch_up(collection: Collection, backend: VectorBackend) -> None:
    """Bring a backend in this process's memory up to date with the index tables.

    Args:
        collection: the active collection, as just read from the database.
        backend: the backend that serves the collection; nothing is done for a persistent one.

    Raises:
        CollectionNotFound: another collection has replaced this collection.
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
    """Have a collection loaded again before the next search, if the backend has lost it."""
    with _applied_lock:
        state = _applied.get(backend, {}).get(collection.name)
    if state is None:
        return
    with state.lock:
        # Another thread may have loaded the lost collection while this thread waited.
        if collection.name not in backend.collections():
            state.revision = None


def _catch_up(collection: Collection, backend: VectorBackend, state: _Applied) -> None:
    if state.revision is None or state.revision >= collection.revision:
        # Usually, another thread has read a later revision than this thread, and a look at the
        # row avoids a load.
        _read_again(collection, backend)
    for _ in range(_ATTEMPTS):
        if state.agrees_with(collection):
            return
        if state.revision and state.revision < collection.revision:
            _apply_difference(collection, backend, state, state.revision)
        else:
            _load(collection, backend, state)
        _read_again(collection, backend)
    # Other processes write faster than this process reads. Its copy is consistent, and as new
    # as the start of the search.


def _read_again(collection: Collection, backend: VectorBackend) -> None:
    """Read a collection's row again, and drop the collection if it was replaced.

    Otherwise, the replaced collection could make `_drop_others` drop its successor.
    """
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
    """Apply the changes after the revision that this process has applied.

    The snapshot may be newer than the revision that was read. Then the next round meets
    documents that the backend has already, so those are not counted again.
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
        state.revision = None  # changes may be half-written, so the next search loads everything
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
    """Free the memory of the collections that this collection has replaced."""
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
