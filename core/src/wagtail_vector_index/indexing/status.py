"""What an operator wants to know about an index: how much waits, and what went wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..models.tables import Collection, PendingChange
from .plan import live_collections

if TYPE_CHECKING:
    from ..indexes import VectorIndex

_FAILURES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class FailedChange:
    """A change that could not be written yet."""

    object_key: str
    attempts: int
    last_error: str
    #: When it is tried again by itself; what is past is due now.
    next_attempt: dt.datetime


@dataclass(frozen=True, kw_only=True)
class CollectionStatus:
    """A collection that changes are written to."""

    name: str
    vector_backend: str
    state: str
    documents: int
    #: Whether the vector backend still has to be told of changes.
    is_behind: bool
    #: How often in a row its vector backend, or the embedding service, failed.
    attempts: int
    last_error: str
    next_attempt: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class IndexStatus:
    """How an index stands, as of one moment."""

    name: str
    collections: Sequence[CollectionStatus]
    #: How many changes wait, and since when the oldest does.
    pending: int
    oldest: dt.datetime | None
    #: How many of them have failed, and the last of those.
    failed: int
    failures: Sequence[FailedChange]

    @property
    def active(self) -> CollectionStatus | None:
        """The collection that serves searches; None if the index was never built."""
        return next((c for c in self.collections if c.state == Collection.State.ACTIVE), None)

    @property
    def failed_collections(self) -> Sequence[CollectionStatus]:
        """The collections that wait for a service that failed."""
        return [c for c in self.collections if c.attempts]

    @property
    def is_ok(self) -> bool:
        """Whether nothing has failed; what only waits is no failure."""
        return not (self.failed or self.failed_collections)


def status_of(index: VectorIndex) -> IndexStatus:
    """How an index stands: four queries, and no network.

    Example::

        if not status_of(BlogPage.vector_index).is_ok:
            ...
    """
    pending = PendingChange.objects.filter(index=index.name)
    failed = pending.exclude(last_error="")
    return IndexStatus(
        name=index.name,
        collections=[_status_of_collection(c) for c in live_collections(index.name)],
        pending=pending.count(),
        oldest=pending.order_by("created_at").values_list("created_at", flat=True).first(),
        failed=failed.count(),
        failures=[
            FailedChange(
                object_key=row.object_key,
                attempts=row.attempts,
                last_error=row.last_error,
                next_attempt=row.next_attempt,
            )
            for row in failed.order_by("-pk")[:_FAILURES_SHOWN]
        ],
    )


def _status_of_collection(collection: Collection) -> CollectionStatus:
    return CollectionStatus(
        name=collection.name,
        vector_backend=collection.vector_backend,
        state=collection.state,
        documents=collection.document_count,
        is_behind=collection.applied_revision < collection.revision,
        attempts=collection.attempts,
        last_error=collection.last_error,
        next_attempt=collection.next_attempt,
    )
