"""What the author of a vector backend writes: its options, its facts, and its operations."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from ..exceptions import BackendError, CollectionMismatch, CollectionNotFound, InvalidSpec
from .filters import FilterNode
from .metrics import METRICS, Metric
from .options import Options as BaseOptions
from .records import Match, RecordBatch
from .spec import CollectionSpec

__all__ = ["Store"]


class Store(ABC):
    """The part of `VectorBackend` that each backend writes, and what it declares.

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
    max_batch_records: int = 1_000

    #: How many bytes of ids, vectors and metadata may one call of ``_upsert`` carry?
    max_batch_bytes: int = 16 * 2**20

    #: How long may a vector be, under metrics for which its length counts? A store that computes
    #: in float32 takes 1e18: the squares of longer vectors are infinite, and so are all scores.
    longest_vector: ClassVar[float] = math.inf

    #: Must asynchronous calls run in the thread of Django's own database connections? True for
    #: a backend that uses these connections: in any other thread, a call is outside the
    #: caller's transaction, and the connection that it opens is never closed.
    thread_sensitive: ClassVar[bool] = False

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

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

    def _check_spec(self, spec: CollectionSpec) -> None:
        if spec.metric not in self.metrics:
            raise InvalidSpec(
                f"{spec.name}: {self!r} does not support the metric {spec.metric!r}."
                f" It supports: {', '.join(sorted(self.metrics))}."
            )
