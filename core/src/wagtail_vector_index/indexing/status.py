"""The status of an index: its size, and the changes that wait or failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.db.models import Count, Min, Q

from ..content.declaration import IndexDeclaration
from ..models.tables import Collection, Document, PendingChange
from .plan import Plan, live_collections

__all__ = ["FAILED", "IndexStatus", "status_of"]

#: The pending changes that were tried at least once.
FAILED = ~Q(last_error="")

_FAILURES_SHOWN = 5


class IndexStatus:
    """The status of an index. Each value is read from the index tables when it is first used.

    The status never uses the network.

    Example::

        if not status_of(BlogPage.vector_index).is_ok:
            ...
    """

    def __init__(self, index: IndexDeclaration) -> None:
        self.index = index

    @property
    def name(self) -> str:
        """The index's name."""
        return self.index.name

    @cached_property
    def collections(self) -> Sequence[Collection]:
        """The collections that changes are written to."""
        return list(live_collections(self.name))

    @property
    def active(self) -> Collection | None:
        """The collection that serves searches; None if the index was never built."""
        return self._collection(Collection.State.ACTIVE)

    @property
    def building(self) -> Collection | None:
        """The collection that is being built to replace the active one, or None."""
        return self._collection(Collection.State.BUILDING)

    @property
    def vector_backend(self) -> str:
        """The alias of the vector backend that serves the index, or will serve it once built."""
        return self.active.vector_backend if self.active else self.index.vector_backend

    @property
    def next_vector_backend(self) -> str:
        """The alias of the vector backend that a rebuild moves the index to; "" if it stays."""
        wanted = self.index.vector_backend
        return "" if wanted == self.vector_backend else wanted

    @cached_property
    def objects(self) -> int:
        """The number of objects that can be found."""
        live = Document.objects.filter(collection=self.active, deleted_at=None)
        return live.aggregate(count=Count("object_key", distinct=True))["count"] or 0

    @property
    def documents(self) -> int:
        """The number of documents, which are chunks of objects, that can be found."""
        return self.active.document_count if self.active else 0

    @property
    def changed_at(self) -> dt.datetime | None:
        """The time of the last change of the documents, or None if the index was never built."""
        return (self.active.changed_at or self.active.created_at) if self.active else None

    @property
    def unapplied(self) -> int:
        """The number of revisions that have not been sent to the vector backend yet."""
        return self.active.revision - self.active.applied_revision if self.active else 0

    @property
    def pending(self) -> int:
        """The number of changes that wait in the outbox."""
        return int(self._changes["pending"])

    @property
    def oldest(self) -> dt.datetime | None:
        """The time of the oldest pending change, or None if no change waits."""
        since: dt.datetime | None = self._changes["oldest"]
        return since

    @property
    def failed(self) -> int:
        """The number of pending changes that failed at their last attempt."""
        return int(self._changes["failed"])

    @cached_property
    def failures(self) -> Sequence[PendingChange]:
        """The most recent of the pending changes that failed."""
        return list(self._pending.filter(FAILED).order_by("-pk")[:_FAILURES_SHOWN])

    @property
    def failed_collections(self) -> Sequence[Collection]:
        """The collections that wait for a service that failed."""
        return [collection for collection in self.collections if collection.attempts]

    @property
    def is_ok(self) -> bool:
        """Whether nothing has failed. Changes that only wait are not failures."""
        return not (self.failed or self.failed_collections)

    @property
    def is_current(self) -> bool:
        """Whether a search finds all changes made so far."""
        # Pending changes first: a change that leaves the outbox in between raises the revision.
        return not self.pending and bool(self.active) and not self.unapplied

    def differences(self) -> list[str]:
        """Return the differences between the active collection and the settings and code.

        Raises:
            ConfigurationError: the settings or the fields of the index are wrong.
            EmbeddingError: only the embedding service knows the dimensions, and it failed.
        """
        return Plan.of(self.index).differences(self.active) if self.active else []

    def _collection(self, state: Collection.State) -> Collection | None:
        return next((each for each in self.collections if each.state == state), None)

    @property
    def _pending(self) -> Any:
        return PendingChange.objects.filter(index=self.name)

    @cached_property
    def _changes(self) -> dict[str, Any]:
        return self._pending.aggregate(  # type: ignore[no-any-return]
            pending=Count("pk"), failed=Count("pk", filter=FAILED), oldest=Min("created_at")
        )


def status_of(index: IndexDeclaration) -> IndexStatus:
    """Return the current status of an index."""
    return IndexStatus(index)
