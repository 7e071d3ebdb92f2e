"""One collection in memory: ids, vectors and metadata in rows, and a graph over them.

The rows are authoritative. A row keeps its number as long as its record exists, and new records
reuse the rows of deleted ones. If there is a graph, it proposes rows to a search. The search also
considers the rows that are not linked in the graph yet.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.contract import EXACT_UP_TO, FilterNode, SnapshotPart
from wagtail_vector_index.contract.arrays import Floats32, scores, stored

from .columns import Columns, Mask, Rows
from .graph import Graph, Shape
from .ranking import Floats64, Query, likely

Ids: TypeAlias = npt.NDArray[np.uint8]
ScalarT = TypeVar("ScalarT", bound=np.generic)

#: The parts of a snapshot with an entry for each row.
_ROWS = ("ids", "vectors", "norms", "live")

#: Finding one more row by the graph costs as much as this many rows of an exact search.
COST_OF_A_STEP = 30

#: How many rows may wait to be linked. Each search scores all of them.
UNLINKED = 1_000

#: How many rows are linked at a time. Searches can run in between.
_LINKED_AT_ONCE = 1_024

#: Up to this share of all rows, multiplying only the requested rows is faster.
_GATHERED_SHARE = 0.2
_GATHERED_ROWS = 1_024
_FIRST_ROWS = 64


class Collection:
    """The records of a collection.

    Args:
        spec: the collection's specification.
        shape: the shape of the graph.
        graph_from: the number of records from which a graph is built.
    """

    def __init__(self, spec: CollectionSpec, shape: Shape, graph_from: int) -> None:
        self.spec = spec
        self._shape = shape
        self._graph_from = graph_from
        self._row_of: dict[bytes, int] = {}
        self._free: list[int] = []
        self._texts: list[str] = []
        self._columns = Columns(spec.fields, self._texts)
        self._ids: Ids = np.empty((0, 16), np.uint8)
        self._vectors: Floats32 = np.empty((0, spec.dimensions), np.float32)
        self._norms: Floats64 = np.empty(0)
        self._live: Mask = np.empty(0, np.bool_)
        self._graph: Graph | None = None
        self._unlinked: set[int] = set()
        # One lock for searches and writes: USearch does not separate readers from writers. Both are
        # short.
        self.lock = threading.Lock()
        with _listing:
            _collections.add(self)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def linked(self) -> int:
        """The number of records in the graph."""
        return 0 if self._graph is None else len(self._graph)

    @property
    def nbytes(self) -> int:
        """The memory that the vectors and the graph take, in bytes."""
        return self._vectors.nbytes + (0 if self._graph is None else self._graph.nbytes)

    def upsert(self, ids: Sequence[bytes], vectors: Floats32, texts: Sequence[str]) -> None:
        """Write records with distinct ids. Existing records with these ids are replaced."""
        kept = stored(vectors, self.spec.metric)
        with self.lock:
            self._make_room(sum(id not in self._row_of for id in ids))
            numbers = [self._place(id) for id in ids]
            rows = np.array(numbers, np.intp)
            self._ids[rows] = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16)
            self._vectors[rows] = kept
            exact = kept.astype(np.float64)
            self._norms[rows] = np.sqrt(np.einsum("ij,ij->i", exact, exact))
            self._live[rows] = True
            self._describe(numbers, texts)
            if self._graph is not None:
                self._graph.remove(rows)
                self._unlinked.update(numbers)
                self._reset_graph_if_worn()
                if len(self._unlinked) > UNLINKED:
                    # Link twice as many as were written: each write is short, and the number falls.
                    self._link(2 * len(numbers))

    def delete(self, ids: Sequence[bytes]) -> None:
        """Delete the records with these distinct ids. Missing ids are ignored."""
        with self.lock:
            numbers = [row for id in ids if (row := self._row_of.pop(id, None)) is not None]
            rows = np.array(numbers, np.intp)
            self._live[rows] = False
            # A snapshot has all rows, and must not hold what was deleted.
            self._ids[rows] = self._vectors[rows] = 0
            self._describe(numbers, ["{}"] * len(numbers))
            self._free += numbers
            if self._graph is not None:
                self._graph.remove(rows)
                self._unlinked.difference_update(numbers)
                self._reset_graph_if_worn()

    def search(
        self, query: Query, limit: int, filter: FilterNode | None, expansion: int | None
    ) -> tuple[list[bytes], list[float], bool]:
        """Return ids and scores of the nearest records, and whether all records were compared.

        The best come first. Equal scores order by id.

        Args:
            query: the query.
            limit: the number of records.
            filter: the filter that records must match.
            expansion: the number of candidates from the graph, or None to compare all records.
        """
        with self.lock:
            mask = None if filter is None else self._matching(filter)
            proposed = expansion and self._approximately(query, limit, mask, expansion)
            rows, found_scores = proposed or self._exactly(query, limit, mask)
            high, low = self._ids[rows].view(">u8").reshape(-1, 2).T
            best = np.lexsort((low, high, -found_scores))[:limit]
            ids = [id.tobytes() for id in self._ids[rows[best]]]
            return ids, found_scores[best].tolist(), not proposed

    def count(self, filter: FilterNode | None) -> int:
        """Return the number of records that match."""
        with self.lock:
            return len(self) if filter is None else int(np.count_nonzero(self._matching(filter)))

    def get(self, ids: Sequence[bytes]) -> tuple[bytes, Floats32, list[str]]:
        """Return the records with these ids. Missing ids are left out."""
        with self.lock:
            rows = [row for id in ids if (row := self._row_of.get(id)) is not None]
            return self._ids[rows].tobytes(), self._vectors[rows], [self._texts[r] for r in rows]

    def ids(self) -> list[bytes]:
        """Return a copy of all ids."""
        with self.lock:
            return list(self._row_of)

    def optimize(self) -> None:
        """Link all rows if there are enough."""
        with self.lock:
            if self._graph is None:
                if len(self) < self._graph_from:
                    return
                self._start_graph()
        while self._link_some():
            pass

    def saved(self) -> dict[str, SnapshotPart]:
        """Return the parts of a snapshot. The caller keeps writes out until they are stored."""
        with self.lock:
            count = len(self._texts)
            rows: list[npt.NDArray[Any]] = [self._ids, self._vectors, self._norms, self._live]
            parts: dict[str, Any] = {
                name: _bytes(array[:count]) for name, array in zip(_ROWS, rows, strict=True)
            }
            parts["texts"] = json.dumps(self._texts).encode()
            if self._graph is not None:
                numbers = np.arange(count)
                self._graph.has(numbers)  # makes room for their keys
                parts["keys"] = _bytes(self._graph.keys(numbers))
                parts["graph"] = self._graph.index.save()
            return {name: SnapshotPart(data=[data]) for name, data in parts.items()}

    def restore(self, parts: Mapping[str, SnapshotPart]) -> None:
        """Take all rows and the graph from a snapshot, in a collection without any.

        The rows stay in the file, which all processes share, until they need more room.

        Raises:
            ValueError: the parts do not fit together.
        """
        ids, vectors, norms, live = (parts[name].buffer for name in _ROWS)
        self._ids = np.frombuffer(ids, np.uint8).reshape(-1, 16)
        self._vectors = np.frombuffer(vectors, np.float32).reshape(-1, self.spec.dimensions)
        self._norms, self._live = np.frombuffer(norms), np.frombuffer(live, np.bool_)
        self._texts += json.loads(bytes(parts["texts"].buffer))
        for array in (self._ids, self._vectors, self._norms, self._live):
            if len(array) != len(self._texts):
                raise ValueError("its parts have different numbers of rows")
        rows = np.flatnonzero(self._live)
        self._row_of = {self._ids[row].tobytes(): row for row in rows.tolist()}
        self._free = np.flatnonzero(~self._live).tolist()
        if "graph" in parts:
            keys = np.frombuffer(parts["keys"].buffer, np.int64)
            self._graph = Graph.restored(self._shape, parts["graph"].buffer, keys)
            self._unlinked = set(rows[~self._graph.has(rows)].tolist())

    # Rows

    def _make_room(self, count: int) -> None:
        needed = len(self._texts) + max(0, count - len(self._free))
        if needed > len(self._live):
            size = max(needed + needed // 8, _FIRST_ROWS)
            self._ids = _grown(self._ids, size)
            self._vectors = _grown(self._vectors, size)
            self._norms = _grown(self._norms, size)
            self._live = _grown(self._live, size)

    def _place(self, id: bytes) -> int:
        row = self._row_of.get(id)
        if row is None:
            if self._free:
                row = self._free.pop()
            else:
                row = len(self._texts)
                self._texts.append("{}")
            self._row_of[id] = row
        return row

    def _describe(self, rows: Sequence[int], texts: Sequence[str]) -> None:
        for row, text in zip(rows, texts, strict=True):
            self._texts[row] = text
        self._columns.write(rows, texts)
        self._columns.drop_bloated(len(self))

    def _matching(self, filter: FilterNode) -> Mask:
        mask: Mask = self._columns.matching(filter) & self._live[: len(self._texts)]
        return mask

    # Searching

    def _approximately(
        self, query: Query, limit: int, mask: Mask | None, expansion: int
    ) -> tuple[Rows, Floats64] | None:
        """Return scored rows from the graph, or None if an exact search is needed or as fast."""
        kept = len(self) if mask is None else int(np.count_nonzero(mask))
        if self._graph is None or limit >= kept or (mask is not None and kept <= EXACT_UP_TO):
            return None
        vector = query.unit if self.spec.metric == "cosine" else query.vector
        unlinked = np.fromiter(self._unlinked, np.intp)
        wanted = max(expansion, 2 * limit)
        asked = wanted * len(self) // kept
        while asked < len(self) and asked * COST_OF_A_STEP + len(unlinked) < len(self):
            rows = np.concatenate([self._graph.nearest(vector, asked), unlinked])
            if mask is not None:
                rows = rows[mask[rows]]
            if len(rows) > limit:
                found = self._scores(query, rows)
                following, last = np.partition(found, (-limit - 1, -limit))[-limit - 1 :][:2]
                # Among equal scores, the lowest ids count, and the graph does not know ids.
                return (rows, found) if following < last else None
            asked *= 4
        return None

    def _exactly(self, query: Query, limit: int, mask: Mask | None) -> tuple[Rows, Floats64]:
        rows = np.flatnonzero(self._live[: len(self._texts)] if mask is None else mask)
        if limit < len(rows):
            with np.errstate(over="ignore", invalid="ignore"):
                products = self._products(query, rows)
                rows = rows[likely(products, self._norms[rows], query, self.spec.metric, limit)]
        return rows, self._scores(query, rows)

    def _products(self, query: Query, rows: Rows) -> Floats32:
        count = len(self._texts)
        if len(rows) > _GATHERED_SHARE * count:
            whole: Floats32 = self._vectors[:count] @ query.unit
            return whole if len(rows) == count else whole[rows]
        products = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _GATHERED_ROWS):
            part = slice(start, start + _GATHERED_ROWS)
            products[part] = self._vectors[rows[part]] @ query.unit
        return products

    def _scores(self, query: Query, rows: Rows) -> Floats64:
        found = np.empty(len(rows))
        for start in range(0, len(rows), _GATHERED_ROWS):
            part = slice(start, start + _GATHERED_ROWS)
            found[part] = scores(self._vectors[rows[part]], query.vector, self.spec.metric)
        return found

    # The graph

    def _link_some(self) -> bool:
        """Link some rows, and return whether any are left."""
        with self.lock:
            self._link(_LINKED_AT_ONCE)
            return bool(self._unlinked)

    def _link(self, count: int) -> None:
        if self._graph is not None and self._unlinked:
            numbers = list(islice(self._unlinked, count))
            rows = np.array(numbers, np.intp)
            self._graph.add(rows, self._vectors[rows])
            self._unlinked.difference_update(numbers)

    def _reset_graph_if_worn(self) -> None:
        """Replace a graph with mostly dead keys by an empty one. Later writes link the rows."""
        if self._graph is not None and self._graph.dead > max(len(self), UNLINKED):
            self._start_graph()

    def _start_graph(self) -> None:
        self._graph = Graph(self._shape)
        self._unlinked = set(np.flatnonzero(self._live).tolist())


def _grown(array: npt.NDArray[ScalarT], size: int) -> npt.NDArray[ScalarT]:
    if not array.flags.owndata:  # it is in a snapshot
        array = array.copy()
    # In place if possible, because two copies of all vectors would take too much memory.
    array.resize((size, *array.shape[1:]), refcheck=False)
    return array


def _bytes(array: npt.NDArray[Any]) -> memoryview[Any]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


_collections: weakref.WeakSet[Collection] = weakref.WeakSet()
_held: list[Collection] = []
_listing = threading.Lock()


def _hold_all() -> None:
    _listing.acquire()  # held until the fork is done, because another thread may fork too
    _held.extend(_collections)
    for collection in _held:
        collection.lock.acquire()


def _release_all() -> None:
    while _held:
        _held.pop().lock.release()
    _listing.release()


if hasattr(os, "register_at_fork"):
    # Without this, a child forked during a write would get half of the write, and a held lock.
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_release_all)
