"""The base class of vector backends: what callers use, and what all backends share.

What the author of a backend writes is in modules of its own: `Store` in
`wagtail_vector_index.contract.store` is for all of them, `ApproximateStore` and `SnapshotStore` for
some, and `ThreadedStore` has the asynchronous forms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from uuid import UUID

from django.core.checks import CheckMessage

from ..contract.approximate import ApproximateStore
from ..contract.filters import Filter, FilterNode, parse_filter
from ..contract.health import Health
from ..contract.metrics import METRICS, Metric, own_score
from ..contract.panics import contain_panics
from ..contract.recall import Recall
from ..contract.records import Match, Record, RecordBatch, Vector, checked_id, ranked
from ..contract.sansio import arun, run
from ..contract.slices import bounded, joined, slices
from ..contract.snapshots import SnapshotStore
from ..contract.spec import CollectionSpec
from ..contract.validation import (
    check_metadata,
    check_min_score,
    check_positive,
    checked_query,
    is_invalid,
    vector_problem,
)
from ..exceptions import BackendError, InvalidVector, WriteFailed
from ..wording import shown

__all__ = [
    "CollectionSpec",
    "Health",
    "Match",
    "Metric",
    "Record",
    "RecordBatch",
    "VectorBackend",
]

#: How many matches are requested, one number after another, to find a record by its own vector.
_LIMITS = (10, 100, 1_000, 10_000)


class VectorBackend(ApproximateStore, SnapshotStore):
    """Stores vectors in collections and finds the vectors nearest to a query.

    The public methods validate arguments, split batches and parse filters. The author of a
    backend writes the methods that begin with an underscore. These get only valid arguments
    and keep no state that another process would need. Creating a backend does no I/O.

    Asynchronous calls run the same methods in threads. A backend whose client is
    asynchronous itself overrides ``_asearch``, ``_aupsert``, ``_adelete``, ``_acount``,
    ``_aget`` and others, which take the same arguments as `_search` and the other synchronous
    methods. `ServiceBackend` in the kit for services does so for an author.

    Every method may raise `CollectionNotFound`, `BackendUnavailable` or `BackendRefused`.

    A score means the same in every backend: higher is nearer. Under ``cosine`` it is the
    similarity in [-1, 1], under ``dot`` the inner product, under ``euclidean`` minus the
    distance.

    Args:
        alias: the key in the settings, which messages name.
        options: an instance of the class's ``Options``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        contain_panics(cls, VectorBackend, BackendError)
        # Checked here, because a mistake would otherwise show in the middle of a search.
        metrics: Any = cls.metrics
        if not isinstance(metrics, (set, frozenset)) or not metrics or metrics - set(METRICS):
            raise TypeError(
                f"{cls.__qualname__}.metrics must be a set of at least one of"
                f" {', '.join(METRICS)}, not {shown(metrics)}."
            )
        for name in ("max_batch_records", "max_batch_bytes"):
            value = getattr(cls, name)
            if type(value) is not int or value < 1:
                raise TypeError(
                    f"{cls.__qualname__}.{name} must be an int of at least 1, not {shown(value)}."
                )

    # Methods that callers use

    def create(self, spec: CollectionSpec) -> None:
        """Create a collection. Nothing happens if it exists.

        Raises:
            InvalidSpec: if this backend does not support the metric.
            CollectionMismatch: if it exists with other dimensions, metric or fields.
        """
        self._check_spec(spec)
        self._create(spec)

    def drop(self, spec: CollectionSpec) -> None:
        """Delete a collection with all its records. Nothing happens if there is none."""
        self._drop(spec)
        self._recalls.pop(spec.name, None)

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted."""
        return sorted(self._collections())

    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Write records, replacing existing records with the same ids.

        Everything is checked before anything is written. If an id comes twice, the last
        record counts.

        Raises:
            InvalidVector: wrong dimensions, NaN, infinity, zero under cosine, or a vector that is
            too long for this backend.
            InvalidRecord: metadata that is not a JSON object or does not fit the fields.
            WriteFailed: some records may not have been written; ``ids`` names them.
        """
        parts = self._upsert_parts(spec, batch)
        for part in parts:
            try:
                self._upsert(spec, part)
            except WriteFailed as error:
                error.ids += _ids_of(parts)
                raise

    def delete(self, spec: CollectionSpec, ids: Iterable[UUID]) -> None:
        """Delete records. Ids that do not exist are ignored."""
        for part in self._id_parts(ids):
            self._delete(spec, part)

    def search(
        self,
        spec: CollectionSpec,
        vector: Vector,
        *,
        limit: int = 10,
        filter: Filter | None = None,
        min_score: float | None = None,
    ) -> list[Match]:
        """Return the nearest records, best first, and in the order of their ids if equal.

        Args:
            spec: the collection.
            vector: as many numbers as the collection has dimensions.
            limit: the largest number of matches to return.
            filter: a ``Q`` over the collection's fields, or a tree that ``parse_filter``
                returned.
            min_score: leave out matches with a lower score.

        Raises:
            InvalidVector, InvalidFilter, InvalidQuery: an argument is wrong; nothing was searched.
            CollectionNotFound: there is no such collection.
        """
        asked = self._search_arguments(spec, vector, limit, filter, min_score)
        return ranked(run(self._searched(spec, asked)), limit, min_score)

    def count(self, spec: CollectionSpec, filter: Filter | None = None) -> int:
        """Return the number of all records, or of the records that match the filter."""
        return self._count(spec, parse_filter(filter, spec.fields))

    def get(self, spec: CollectionSpec, ids: Iterable[UUID]) -> RecordBatch:
        """Return the records with these ids, each once, in any order. Missing ones are left out.

        Under cosine, a vector may come back with another length than it was written with.
        """
        return joined([self._get(spec, part) for part in self._id_parts(ids)], spec.dimensions)

    def scan(self, spec: CollectionSpec, *, batch_size: int = 1_000) -> Iterator[RecordBatch]:
        """Return an iterator over all records, each once, in batches.

        Raises:
            InvalidQuery: if ``batch_size`` is below 1.
        """
        check_positive("batch_size", batch_size)
        return self._scan(spec, batch_size)

    def optimize(self, spec: CollectionSpec) -> Recall | None:
        """Build the structures that make searches fast. Call it after a bulk fill.

        Returns what `measure` returns.
        """
        self._optimize(spec)
        return self._measure(spec, is_new=True)

    def unfound(self, spec: CollectionSpec, batch: RecordBatch) -> list[UUID]:
        """Return the ids of the records that a search by their own vectors does not find.

        A service that crashed may hold such records. They are mended by `delete` and `upsert`.
        """
        return [record.id for record in batch if not self._finds(spec, record)]

    def service_run(self) -> str:
        """Return a text that changes whenever the service is started again.

        Core compares it with the text of an earlier update. If it has changed, the service may
        have crashed in the meantime, and core verifies the records that it sent last. An empty
        text says that the backend cannot tell. The text has at most 255 characters.
        """
        return ""

    def check(self) -> list[CheckMessage]:
        """Return the problems in the configuration that can be found without a network."""
        return []

    def health(self) -> Health:
        """Return whether the backend works right now. May use the network."""
        names = self.collections()
        return Health(ok=True, message=f"{len(names)} collections", details={})

    def close(self) -> None:
        """Close all connections. The backend can be used again afterwards."""

    # The same methods, asynchronous

    async def acreate(self, spec: CollectionSpec) -> None:
        """Like `create`."""
        self._check_spec(spec)
        await self._acreate(spec)

    async def adrop(self, spec: CollectionSpec) -> None:
        """Like `drop`."""
        await self._adrop(spec)
        self._recalls.pop(spec.name, None)

    async def acollections(self) -> list[str]:
        """Like `collections`."""
        return sorted(await self._acollections())

    async def aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Like `upsert`."""
        parts = self._upsert_parts(spec, batch)
        for part in parts:
            try:
                await self._aupsert(spec, part)
            except WriteFailed as error:
                error.ids += _ids_of(parts)
                raise

    async def adelete(self, spec: CollectionSpec, ids: Iterable[UUID]) -> None:
        """Like `delete`."""
        for part in self._id_parts(ids):
            await self._adelete(spec, part)

    async def asearch(
        self,
        spec: CollectionSpec,
        vector: Vector,
        *,
        limit: int = 10,
        filter: Filter | None = None,
        min_score: float | None = None,
    ) -> list[Match]:
        """Like `search`."""
        asked = self._search_arguments(spec, vector, limit, filter, min_score)
        matches = await arun(self._searched(spec, asked), blocking=False)
        return ranked(matches, limit, min_score)

    async def acount(self, spec: CollectionSpec, filter: Filter | None = None) -> int:
        """Like `count`."""
        return await self._acount(spec, parse_filter(filter, spec.fields))

    async def aget(self, spec: CollectionSpec, ids: Iterable[UUID]) -> RecordBatch:
        """Like `get`."""
        return joined(
            [await self._aget(spec, part) for part in self._id_parts(ids)], spec.dimensions
        )

    async def ascan(
        self, spec: CollectionSpec, *, batch_size: int = 1_000
    ) -> AsyncIterator[RecordBatch]:
        """Like `scan`."""
        check_positive("batch_size", batch_size)
        async for batch in self._ascan(spec, batch_size):
            yield batch

    async def aoptimize(self, spec: CollectionSpec) -> Recall | None:
        """Like `optimize`."""
        await self._aoptimize(spec)
        return await self._in_thread(self._measure)(spec, is_new=True)

    async def ameasure(self, spec: CollectionSpec) -> Recall | None:
        """Like `measure`."""
        return await self._in_thread(self.measure)(spec)

    async def ahealth(self) -> Health:
        """Like `health`."""
        return await self._in_thread(self.health)()

    async def aclose(self) -> None:
        """Like `close`."""
        await self._in_thread(self.close)()

    def _finds(self, spec: CollectionSpec, record: Record) -> bool:
        """Return whether a search by a record's vector finds the record.

        Other records may be as near, or nearer under ``dot``. So more matches are requested until
        the last of them is farther away than the record must be.
        """
        expected = own_score(spec.metric, record.vector)
        for limit in _LIMITS:
            found = self.search(spec, record.vector, limit=limit)
            if any(match.id == record.id for match in found):
                return True
            if len(found) < limit or found[-1].score < expected:
                return False
        return True  # too many records are nearer to tell

    # Validation

    def _upsert_parts(self, spec: CollectionSpec, batch: RecordBatch) -> Iterator[RecordBatch]:
        if not len(batch):
            return iter(())
        if batch.dimensions != spec.dimensions:
            raise InvalidVector(
                f"{spec.name} holds vectors of {spec.dimensions} dimensions,"
                f" not {batch.dimensions}."
            )
        if (row := self._first_invalid_vector(spec, batch)) is not None:
            problem = vector_problem(batch.vector(row))
            raise InvalidVector(f"{spec.name}: the vector of {batch.uuids[row]} {problem}.")
        if not batch.checked:
            check_metadata(spec, batch)
        return bounded(
            batch.without_duplicates(), records=self.max_batch_records, size=self.max_batch_bytes
        )

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        """Return the first row with NaN or infinity, or that is invalid under the metric.

        A backend that requires NumPy can override this with code that is forty times faster.
        """
        rows = range(len(batch))
        longest = self.longest_vector
        return next(
            (row for row in rows if is_invalid(batch.vector(row), spec.metric, longest)), None
        )

    def _id_parts(self, ids: Iterable[UUID]) -> list[list[UUID]]:
        unique = list(dict.fromkeys(map(checked_id, ids)))
        return [*slices(unique, self.max_batch_records)]

    def _search_arguments(
        self,
        spec: CollectionSpec,
        vector: Vector,
        limit: int,
        filter: Filter | None,
        min_score: float | None,
    ) -> tuple[memoryview[Any], int, FilterNode | None, float | None]:
        query = checked_query(spec, vector, self.longest_vector)
        check_positive("limit", limit)
        check_min_score(min_score)
        return query, limit, parse_filter(filter, spec.fields), min_score


def _ids_of(parts: Iterable[RecordBatch]) -> tuple[UUID, ...]:
    return tuple(id for part in parts for id in part.uuids)
