"""The base class of vector backends: what each one implements, and what all share."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage
from django.utils import timezone

from ..contract.filters import Filter, FilterNode, parse_filter
from ..contract.health import Health
from ..contract.metrics import METRICS, Metric, own_score
from ..contract.options import Options as BaseOptions
from ..contract.panics import contain_panics
from ..contract.recall import (
    EXACT,
    LEAST_RECORDS,
    LIMIT,
    SAMPLE,
    TARGET,
    Recall,
    Setting,
    cheapest,
    questions,
)
from ..contract.records import Match, Record, RecordBatch, Vector, checked_id
from ..contract.sansio import Call, Steps, arun, run
from ..contract.slices import bounded, joined, slices
from ..contract.snapshots import Snapshot
from ..contract.spec import CollectionSpec
from ..contract.validation import (
    check_metadata,
    check_min_score,
    check_positive,
    checked_query,
    is_invalid,
    vector_problem,
)
from ..contract.widening import searched
from ..exceptions import (
    BackendError,
    CollectionMismatch,
    CollectionNotFound,
    InvalidSpec,
    InvalidVector,
    WriteFailed,
)
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


logger = logging.getLogger(__name__)

#: After so many seconds of exact searches, the questions that are left are not asked, unless fewer
#: than this were asked.
_PATIENCE, _FEWEST_QUESTIONS = 120, 20

#: How many matches are requested, one number after another, to find a record by its own vector.
_LIMITS = (10, 100, 1_000, 10_000)

ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")


class VectorBackend(ABC):
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

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys in the settings other than ``BACKEND``. A backend declares its own."""

    #: Which metrics does the backend support?
    metrics: ClassVar[frozenset[Metric]] = frozenset(METRICS)

    #: How many records may one call of ``_upsert``, ``_delete`` or ``_get`` carry?
    max_batch_records: ClassVar[int] = 1_000

    #: How many bytes of ids, vectors and metadata may one call of ``_upsert`` carry?
    max_batch_bytes: ClassVar[int] = 16 * 2**20

    #: How long may a vector be, under metrics for which its length counts? A store that computes
    #: in float32 takes 1e18: the squares of longer vectors are infinite, and so are all scores.
    longest_vector: ClassVar[float] = math.inf

    #: Must asynchronous calls run in the thread of Django's own database connections? True for
    #: a backend that uses these connections: in any other thread, a call is outside the
    #: caller's transaction, and the connection that it opens is never closed.
    thread_sensitive: ClassVar[bool] = False

    #: If no setting of a search finds enough, what should the site do? Shown to its operator.
    recall_advice: ClassVar[str] = "Set RECALL to less, or choose another vector backend."

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

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options
        #: What this process measured, by collection, for specs that have no recall.
        self._recalls: dict[str, Recall] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @property
    def persistent(self) -> bool:
        """Whether collections outlive this process. If not, core loads them into each."""
        return True

    @property
    def shared(self) -> bool:
        """Whether a copy of the site's database reaches the same collections.

        False for a backend that keeps its collections in the site's own database or process.
        """
        return self.persistent

    # Methods that the author of a backend writes

    @abstractmethod
    def _create(self, spec: CollectionSpec) -> None:
        """Create the collection unless it exists.

        Raises:
            CollectionMismatch: if it exists with other dimensions, metric or fields.
        """

    @abstractmethod
    def _drop(self, spec: CollectionSpec) -> None:
        """Delete the collection if it exists."""

    @abstractmethod
    def _collections(self) -> list[str]:
        """Return the names of all collections."""

    @abstractmethod
    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        """Write records, replacing existing ones.

        The batch has at least one record and at most ``max_batch_records``. No id comes twice.
        All vectors and metadata have been checked, in every part of a split batch.
        Returns when every record can be found by a search. Raises `WriteFailed` with the ids
        of the records that were not written.
        """

    @abstractmethod
    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        """Delete the records with these ids. Ids that do not exist are ignored.

        There is at least one id and at most ``max_batch_records``. None comes twice.
        """

    @abstractmethod
    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        """Return the nearest records to a float32 vector that match the filter.

        The result is complete: it has ``limit`` matches whenever at least so many records
        match the filter. If equal scores compete for the last places, the lower ids win.

        Core then drops matches below ``min_score``, sorts the rest by score and id, and cuts it
        at ``limit``. So the matches may come in any order, and there may be more of them. No id
        may come twice.
        """

    @abstractmethod
    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        """Return the number of records that match the filter."""

    @abstractmethod
    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        """Return the records with these ids, in any order. Missing ones are left out.

        There is at least one id and at most ``max_batch_records``. None comes twice.
        """

    @abstractmethod
    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        """Yield all records, each once, in any order, in batches of at most ``batch_size``.

        A record that is written or deleted during the scan may come or not. Every other record
        comes once.
        """

    def _optimize(self, spec: CollectionSpec) -> None:  # noqa: B027  # optional
        """Build the structures that make searches fast, after a bulk fill."""

    # Methods that the author of an approximate index writes too

    def _search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings of approximate searches to choose from, the cheapest first.

        `_search` uses ``spec.setting``: one of these, `EXACT`, or none, for the first of them. It
        returns `ExactMatches` if it compared every record that matches. Options that the site has
        set are in every setting, so there may be a single one. Without any, searches are exact.
        """
        return ()

    def _wider_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings to repeat a doubtful search with, before it is repeated exactly."""
        return self._search_settings(spec)[-1:]

    def _use_setting(self, spec: CollectionSpec, setting: Setting) -> None:  # noqa: B027
        """Make the store use a setting, unless each search brings its own."""

    def _reach(self, spec: CollectionSpec) -> int:
        """Return the most matches that a search by the index without a filter may request."""
        return 1_000

    def _sample(self, spec: CollectionSpec, count: int) -> RecordBatch:
        """Return some records, if possible at random. Their metadata is not used."""
        return next(self._scan(spec, count), RecordBatch.of(ids=[], vectors=[]))

    def _build_better_index(self, spec: CollectionSpec) -> bool:
        """Build an index that finds more, since no setting was enough; return whether it did."""
        return False

    # Methods that the author of a backend in the process's memory may write too

    @property
    def snapshot_folder(self) -> Path | None:
        """The folder in which the processes of a machine share collections; None for none.

        Core writes what `_snapshot` returns to a file there, and maps the file into the memory of
        each process, so that all share its pages. Core also protects, replaces and deletes files.
        """
        return None

    def _snapshot(self, spec: CollectionSpec) -> Snapshot:
        """Return all records of a collection. Meanwhile, there may be searches, but no writes."""
        raise NotImplementedError(f"{self!r} has a snapshot_folder, but no _snapshot().")

    def _restore(self, spec: CollectionSpec, snapshot: Snapshot) -> None:
        """Create a collection from a file with what `_snapshot` returned, without copying it.

        Raises:
            ValueError: the format is another one, or the parts do not fit together.
        """
        raise NotImplementedError(f"{self!r} has a snapshot_folder, but no _restore().")

    # Methods that the author of a backend calls

    def _shape_error(self, spec: CollectionSpec, existing: str | None) -> BackendError:
        """Return the error for a collection that is missing, or has another shape.

        Args:
            spec: the collection that was asked for.
            existing: the shape of the collection of this name, or None if there is none.

        Example::

            if (existing := self._stored_shape(spec)) != spec.shape:
                raise self._shape_error(spec, existing)
        """
        if existing is None:
            return CollectionNotFound(f"{self!r} has no collection {spec.name!r}.")
        return CollectionMismatch(f"{self!r} has {spec.name!r} as {existing}, not as {spec.shape}.")

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

    def snapshot(self, spec: CollectionSpec) -> Snapshot:
        """Return all records of a collection in the form of a file, if `snapshot_folder` is set."""
        return self._snapshot(spec)

    def restore(self, spec: CollectionSpec, snapshot: Snapshot) -> None:
        """Create a collection from a snapshot.

        Raises:
            ValueError: the snapshot has another format, or is damaged.
        """
        self._check_spec(spec)
        self._restore(spec, snapshot)

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
        return _ranked(run(self._searched(spec, asked)), limit, min_score)

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
        return self.measure(spec)

    def measure(self, spec: CollectionSpec) -> Recall | None:
        """Choose the cheapest setting of searches that finds enough, and return its recall.

        Searches with a spec that has this recall use the setting. So do searches of this process
        with a spec that has none. Returns None if searches are exact or the collection is small.
        The recall of the spec is returned as long as it fits the options and the collection has
        not grown by half, and if the measurement fails, which is logged.
        """
        if not (settings := self._search_settings(spec)):
            return None
        records, target = self._count(spec, None), getattr(self.options, "recall", TARGET)
        if spec.recall and spec.recall.holds(records=records, target=target, settings=settings):
            return spec.recall
        if records < LEAST_RECORDS:
            if len(settings) == 1:  # the site's own choice holds for any number of records
                self._use_setting(spec, settings[0])
            return None
        try:
            return self._measured(spec, settings, records=records, target=target)
        except CollectionNotFound:
            raise
        except BackendError as error:
            logger.warning("The recall of %s could not be measured: %s", spec.name, error)
            # The store may still have a setting that was only tried.
            with suppress(BackendError):
                self._use_setting(spec, spec.recall.setting if spec.recall else settings[0])
            return spec.recall

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

    def close(self) -> None:  # noqa: B027  # optional
        """Close all connections. The backend can be used again afterwards."""

    # The same methods, asynchronous: they run in threads unless a backend overrides them

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

    async def _acreate(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._create)(spec)

    async def _adrop(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._drop)(spec)

    async def _acollections(self) -> list[str]:
        return await self._in_thread(self._collections)()

    async def _ascan(self, spec: CollectionSpec, batch_size: int) -> AsyncIterator[RecordBatch]:
        batches = await self._in_thread(self._scan)(spec, batch_size)
        while (batch := await self._in_thread(next)(batches, None)) is not None:
            yield batch

    async def _aoptimize(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._optimize)(spec)

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
        return _ranked(matches, limit, min_score)

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
        return await self.ameasure(spec)

    async def ameasure(self, spec: CollectionSpec) -> Recall | None:
        """Like `measure`."""
        return await self._in_thread(self.measure)(spec)

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

    # Recall

    def _searched(self, spec: CollectionSpec, asked: Any) -> Steps[list[Match]]:
        if spec.recall is None and spec.name in self._recalls:
            spec = replace(spec, recall=self._recalls[spec.name])
        return searched(
            spec, asked, search=self._search_call, wider=self._wider_settings, reach=self._reach
        )

    def _search_call(self, *arguments: Any) -> Call:
        return Call(
            sync=partial(self._search, *arguments), asynchronous=partial(self._asearch, *arguments)
        )

    def _measured(
        self, spec: CollectionSpec, settings: Sequence[Setting], **facts: Any
    ) -> Recall | None:
        asked, right = self._answered(spec)
        if not asked:
            return None  # all records were deleted meanwhile
        facts["questions"] = len(asked)
        facts["measured_at"] = timezone.now().isoformat(timespec="seconds")

        def found(setting: Setting) -> Iterator[list[float]]:
            self._use_setting(spec, setting)
            return (self._scores(spec.searched_with(setting), vector) for vector in asked)

        recall = cheapest(settings, right, found, **facts)
        # A single setting is the site's own choice.
        if not recall.reached and len(settings) > 1 and self._build_better_index(spec):
            recall = cheapest(settings, right, found, **facts)
        if recall.reached:
            logger.info("%s: %s.", spec.name, recall)
        else:
            recall = replace(recall, advice=self.recall_advice)
            logger.warning("%s: %s. %s", spec.name, recall, recall.advice)
        self._use_setting(spec, recall.setting)
        self._recalls[spec.name] = recall
        return recall

    def _answered(self, spec: CollectionSpec) -> tuple[list[memoryview], list[list[float]]]:
        """Return questions to a collection, and the scores of the nearest records to each."""
        asked = questions(self._sample(spec, SAMPLE))
        right: list[list[float]] = []
        end = time.monotonic() + _PATIENCE
        for vector in asked:
            right.append(self._scores(spec.searched_with(EXACT), vector))
            if time.monotonic() > end and len(right) >= _FEWEST_QUESTIONS:
                break
        return asked[: len(right)], right

    def _scores(self, spec: CollectionSpec, vector: memoryview[Any]) -> list[float]:
        found = self._search(spec, vector, LIMIT, None, None)
        return [match.score for match in _ranked(found, LIMIT, None)]

    # Validation

    def _check_spec(self, spec: CollectionSpec) -> None:
        if spec.metric not in self.metrics:
            raise InvalidSpec(
                f"{spec.name}: {self!r} does not support the metric {spec.metric!r}."
                f" It supports: {', '.join(sorted(self.metrics))}."
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


def _ranked(matches: list[Match], limit: int, min_score: float | None) -> list[Match]:
    kept = [match for match in matches if min_score is None or match.score >= min_score]
    return sorted(kept, key=lambda match: (-match.score, match.id))[:limit]
