"""The contract of a vector backend, and all that is the same in each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, ClassVar, ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.filters import Filter, FilterNode, parse_filter
from ..contract.metrics import METRICS, Metric
from ..contract.options import Options as BaseOptions
from ..contract.records import Match, Record, RecordBatch, Vector, checked_id
from ..contract.slices import bounded, slices
from ..contract.spec import CollectionSpec
from ..contract.validation import (
    check_metadata,
    check_min_score,
    check_positive,
    checked_query,
    is_invalid,
    vector_problem,
)
from ..exceptions import InvalidSpec, InvalidVector, WriteFailed

__all__ = [
    "CollectionSpec",
    "Health",
    "Match",
    "Metric",
    "Record",
    "RecordBatch",
    "VectorBackend",
]


ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether a backend works right now.

    Args:
        ok: whether it can be used.
        message: one line for the operator.
        details: more, such as the server's version, by name.
    """

    ok: bool
    message: str
    details: Mapping[str, str] = field(default_factory=dict)


class VectorBackend(ABC):
    """Stores vectors in collections and finds the nearest to a query.

    The public methods validate, split into batches and parse filters; an author writes
    the methods that begin with an underscore. They get valid arguments only and hold no
    state that another process would need. Making a backend does no I/O.

    Asynchronous calls run the same methods in threads. A backend whose client is
    asynchronous itself overrides ``_asearch``, ``_aupsert``, ``_adelete``, ``_acount`` and
    ``_aget``, which take what `_search` and the others take.

    Every method may raise `CollectionNotFound`, `BackendUnavailable` or `BackendRefused`.

    One meaning of score: higher is nearer. Under ``cosine`` it is the similarity in
    [-1, 1], under ``dot`` the inner product, under ``euclidean`` minus the distance.

    Args:
        alias: the key in the settings, for messages.
        options: an instance of the class's ``Options``.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys beside ``BACKEND`` in the settings; a backend declares its own."""

    #: Which metrics can it search by?
    metrics: ClassVar[frozenset[Metric]] = frozenset(METRICS)

    #: How many records may one call of ``_upsert``, ``_delete`` or ``_get`` carry?
    max_batch_records: ClassVar[int] = 1_000

    #: How many bytes of ids, vectors and metadata may one call of ``_upsert`` carry?
    max_batch_bytes: ClassVar[int] = 16 * 2**20

    #: Must asynchronous calls run in the thread of Django's own connections? Where a backend
    #: uses them: in any other thread a call is outside the caller's transaction, and the
    #: connection that it opens is never closed.
    thread_sensitive: ClassVar[bool] = False

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @property
    def persistent(self) -> bool:
        """Whether collections outlive this process; if not, they are this process's own."""
        return True

    # What an author writes

    @abstractmethod
    def _create(self, spec: CollectionSpec) -> None:
        """Make the collection unless it exists.

        Raises:
            CollectionMismatch: if it exists with other dimensions, metric or fields.
        """

    @abstractmethod
    def _drop(self, spec: CollectionSpec) -> None:
        """Delete the collection if it exists."""

    @abstractmethod
    def _collections(self) -> list[str]:
        """The names of all collections."""

    @abstractmethod
    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Write records, replacing those of the same id; no id comes twice in a batch.

        Returns when every record can be found. Raises `WriteFailed` with the ids if only
        some were written.
        """

    @abstractmethod
    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        """Delete the records of these ids; a missing one is fine."""

    @abstractmethod
    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        """The nearest records to a float32 vector among those that match the filter.

        Complete: ``limit`` of them whenever that many match. Where scores are equal at
        the end of the list, the lower ids are in it.
        """

    @abstractmethod
    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        """The number of records that match the filter."""

    @abstractmethod
    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        """Those of these records that exist, in any order."""

    @abstractmethod
    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        """All records, each once, in batches of at most ``batch_size``."""

    def _optimize(self, spec: CollectionSpec) -> None:  # noqa: B027  # optional
        """Build what makes searching fast, after a bulk fill."""

    # What everybody calls

    def create(self, spec: CollectionSpec) -> None:
        """Make a collection; nothing happens if it exists.

        Raises:
            InvalidSpec: if this backend does not know the metric.
            CollectionMismatch: if it exists with other dimensions, metric or fields.
        """
        self._check_spec(spec)
        self._create(spec)

    def drop(self, spec: CollectionSpec) -> None:
        """Delete a collection with all its records; nothing happens if there is none."""
        self._drop(spec)

    def collections(self) -> list[str]:
        """The names of all collections, sorted."""
        return sorted(self._collections())

    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Write records, replacing those of the same id.

        Everything is checked before anything is written. Where one id comes twice, the
        last record counts.

        Raises:
            InvalidVector: wrong dimensions, NaN, infinity, or zero under cosine.
            InvalidRecord: metadata that is not a JSON object or does not fit the fields.
            WriteFailed: some records were not written; its ``ids`` names them.
        """
        parts = self._upsert_parts(spec, batch)
        for part in parts:
            try:
                self._upsert(spec, part)
            except WriteFailed as error:
                error.ids += _ids_of(parts)
                raise

    def delete(self, spec: CollectionSpec, ids: Iterable[UUID]) -> None:
        """Delete records; ids that do not exist are fine."""
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
        """The nearest records, best first; equal scores by id.

        Args:
            spec: the collection.
            vector: as many numbers as the collection has dimensions.
            limit: at most so many matches; all records if there are fewer.
            filter: a ``Q`` over the collection's fields, or the tree that ``parse_filter`` made
                of one.
            min_score: leave out matches below it.

        Raises:
            InvalidVector, InvalidFilter, InvalidQuery: before anything is asked.
            CollectionNotFound: there is no such collection.
        """
        asked = self._search_arguments(spec, vector, limit, filter, min_score)
        return _ranked(self._search(spec, *asked), limit, min_score)

    def count(self, spec: CollectionSpec, filter: Filter | None = None) -> int:
        """The number of records, or of those that match the filter."""
        return self._count(spec, parse_filter(filter, spec.fields))

    def get(self, spec: CollectionSpec, ids: Iterable[UUID]) -> RecordBatch:
        """The records of these ids that exist, each once, in any order.

        Under cosine, vectors may come back with another length than they had.
        """
        return _joined([self._get(spec, part) for part in self._id_parts(ids)], spec)

    def scan(self, spec: CollectionSpec, *, batch_size: int = 1_000) -> Iterator[RecordBatch]:
        """All records, each once, in batches.

        Raises:
            InvalidQuery: if ``batch_size`` is below 1.
        """
        check_positive("batch_size", batch_size)
        return self._scan(spec, batch_size)

    def optimize(self, spec: CollectionSpec) -> None:
        """Build what makes searching fast; call it after a bulk fill."""
        self._optimize(spec)

    def check(self) -> list[CheckMessage]:
        """What can be said about the configuration without a network."""
        return []

    def health(self) -> Health:
        """Whether the backend works right now; may use the network."""
        names = self.collections()
        return Health(ok=True, message=f"{len(names)} collections", details={})

    def close(self) -> None:  # noqa: B027  # optional
        """Give back connections. The backend can be used again afterwards."""

    # The same, asynchronously: in threads, unless the client is asynchronous itself

    async def _asearch(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return await self._in_thread(self._search)(spec, vector, limit, filter, min_score)

    async def _aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        await self._in_thread(self._upsert)(spec, batch)

    async def _adelete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        await self._in_thread(self._delete)(spec, ids)

    async def _acount(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return await self._in_thread(self._count)(spec, filter)

    async def _aget(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return await self._in_thread(self._get)(spec, ids)

    async def acreate(self, spec: CollectionSpec) -> None:
        """Like `create`."""
        await self._in_thread(self.create)(spec)

    async def adrop(self, spec: CollectionSpec) -> None:
        """Like `drop`."""
        await self._in_thread(self.drop)(spec)

    async def acollections(self) -> list[str]:
        """Like `collections`."""
        return await self._in_thread(self.collections)()

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
        return _ranked(await self._asearch(spec, *asked), limit, min_score)

    async def acount(self, spec: CollectionSpec, filter: Filter | None = None) -> int:
        """Like `count`."""
        return await self._acount(spec, parse_filter(filter, spec.fields))

    async def aget(self, spec: CollectionSpec, ids: Iterable[UUID]) -> RecordBatch:
        """Like `get`."""
        return _joined([await self._aget(spec, part) for part in self._id_parts(ids)], spec)

    async def ascan(
        self, spec: CollectionSpec, *, batch_size: int = 1_000
    ) -> AsyncIterator[RecordBatch]:
        """Like `scan`."""
        batches = await self._in_thread(self.scan)(spec, batch_size=batch_size)
        while (batch := await self._in_thread(next)(batches, None)) is not None:
            yield batch

    async def aoptimize(self, spec: CollectionSpec) -> None:
        """Like `optimize`."""
        await self._in_thread(self.optimize)(spec)

    async def ahealth(self) -> Health:
        """Like `health`."""
        return await self._in_thread(self.health)()

    async def aclose(self) -> None:
        """Like `close`."""
        await self._in_thread(self.close)()

    def _in_thread(
        self, function: Callable[ArgumentsT, ResultT]
    ) -> Callable[ArgumentsT, Coroutine[Any, Any, ResultT]]:
        return sync_to_async(function, thread_sensitive=self.thread_sensitive)

    # Validation

    def _check_spec(self, spec: CollectionSpec) -> None:
        if spec.metric not in self.metrics:
            raise InvalidSpec(
                f"{spec.name}: {self!r} does not know the metric {spec.metric!r}."
                f" It knows: {', '.join(sorted(self.metrics))}."
            )

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
        """Return the first row with NaN or infinity or, where zero is invalid, only zeros.

        A backend that has NumPy at hand can do this forty times faster.
        """
        rows = range(len(batch))
        return next((row for row in rows if is_invalid(batch.vector(row), spec.metric)), None)

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
        query = checked_query(spec, vector)
        check_positive("limit", limit)
        check_min_score(min_score)
        return query, limit, parse_filter(filter, spec.fields), min_score


def _ids_of(parts: Iterable[RecordBatch]) -> tuple[UUID, ...]:
    return tuple(id for part in parts for id in part.uuids)


def _ranked(matches: list[Match], limit: int, min_score: float | None) -> list[Match]:
    kept = [match for match in matches if min_score is None or match.score >= min_score]
    return sorted(kept, key=lambda match: (-match.score, match.id))[:limit]


def _joined(batches: list[RecordBatch], spec: CollectionSpec) -> RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return RecordBatch(
        ids=b"".join(batch.ids for batch in batches),
        vectors=b"".join(batch.vectors for batch in batches),
        metadata=[text for batch in batches for text in batch.metadata],
        dimensions=spec.dimensions,
    )
