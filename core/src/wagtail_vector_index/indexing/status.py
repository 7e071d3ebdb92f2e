"""The status of an index: its size, and the changes that wait or failed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from django.db.models import Count, Min

from ..content.declaration import IndexDeclaration
from ..exceptions import ConfigurationError
from ..models.tables import Collection, PendingChange
from ..plugins.redaction import redacted
from ..wording import sentence
from .backoff import is_older_than, older_than
from .building import is_being_built
from .failures import FAILED, is_waiting
from .outbox import holders
from .ownership import foreign_problem
from .plan import live_collections, outdated_by
from .problems import Problem
from .replacing import reason_to_wait
from .source_tables import missing_source_table

__all__ = ["OVERDUE", "IndexStatus", "status_of"]

#: After this time, a change that nobody has tried to write waits for too long. It is three times
#: the longest pause after a failure of a service.
OVERDUE = dt.timedelta(minutes=30)

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

    @property
    def objects(self) -> int:
        """The number of objects that can be found."""
        return self.active.object_count if self.active else 0

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
    def oldest_pending_at(self) -> dt.datetime | None:
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
        """Whether the index can be searched, nothing has failed, and no change waits too long."""
        return not (self.failed or self.failed_collections or self.problems)

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """The reasons why searches or changes do not reach the index, other than failures."""
        return [*self._unusable(), *self._foreign(), *self._late()]

    def _foreign(self) -> Iterator[Problem]:
        """Yield the collections that were created for another site."""
        yield from filter(None, map(foreign_problem, self.collections))

    def _unusable(self) -> Iterator[Problem]:
        """Yield the reason why the index cannot be searched, if there is one."""
        try:
            message = self._why_unusable()
        except ConfigurationError as error:
            yield Problem(
                message=redacted(sentence(str(error))),
                remedy="To see all mistakes in the settings, run: manage.py check",
            )
        else:
            if not self.active and (missing := missing_source_table(self.index)):
                yield missing
            elif message:
                yield Problem(message=message, remedy=self._wait_or_update())

    def _late(self) -> Iterator[Problem]:
        """Yield changes that have waited for longer than `OVERDUE`, and rebuilds that stopped."""
        minutes = OVERDUE.seconds // 60
        # Processes that write many changes, or build a large collection, come to each in turn.
        if (overdue := self._changes["overdue"]) and not self._is_being_tried:
            yield Problem(
                message=(
                    f"{overdue} changes of {self.name} have waited for more than {minutes} minutes,"
                    " and nothing has tried to write them."
                ),
                remedy=f"Check that the worker of the task queue runs. {self._update()}",
            )
        for collection in self.collections:
            if collection.state == Collection.State.BUILDING:
                if is_being_built(collection):
                    continue
                if reason := reason_to_wait(collection):
                    yield reason
                elif is_older_than(collection.builder_seen or collection.created_at, OVERDUE):
                    yield Problem(
                        message=(
                            f"A rebuild of {self.name} stopped more than {minutes} minutes ago."
                        ),
                        remedy=f"To continue it, run: manage.py update_vector_indexes {self.name}",
                    )
            elif (
                collection.is_behind
                and collection.changed_at
                and is_older_than(collection.changed_at, OVERDUE)
            ):
                yield Problem(
                    message=(
                        f"The vector backend {collection.vector_backend!r} has lacked changes of"
                        f" {self.name} for more than {minutes} minutes."
                    ),
                    remedy=self._update(),
                )

    def _why_unusable(self) -> str:
        self.index.configuration  # noqa: B018  # raises what is wrong with its fields
        if not self.active:
            return f"{self.name} is not built yet and cannot be searched."
        differences = outdated_by(self.index, self.active)
        if not differences:
            return ""
        return (
            f"{self.name} was built with other settings and cannot be searched:"
            f" {'; '.join(differences)}."
        )

    def _update(self) -> str:
        return f"To write them now, run: manage.py update_vector_indexes {self.name}"

    def _wait_or_update(self) -> str:
        if self.building and self._is_being_built:
            return f"Another process builds it ({self.building.builder}). Wait until it has ended."
        return f"To build it, run: manage.py update_vector_indexes {self.name}"

    @property
    def is_current(self) -> bool:
        """Whether a search finds all changes made so far."""
        # Pending changes first: a change that leaves the outbox in between raises the revision.
        return not self.pending and bool(self.active) and not self.unapplied

    def _collection(self, state: Collection.State) -> Collection | None:
        return next((each for each in self.collections if each.state == state), None)

    @property
    def _is_being_built(self) -> bool:
        return self.building is not None and is_being_built(self.building)

    @property
    def _is_being_tried(self) -> bool:
        at_work, _ = holders(self.name)
        is_put_off = any(map(is_waiting, self.collections))
        return self._is_being_built or bool(at_work) or is_put_off

    @property
    def _pending(self) -> Any:
        return PendingChange.objects.filter(index=self.name)

    @cached_property
    def _changes(self) -> dict[str, Any]:
        return self._pending.aggregate(  # type: ignore[no-any-return]
            pending=Count("pk"),
            failed=Count("pk", filter=FAILED),
            oldest=Min("created_at"),
            overdue=Count("pk", filter=~FAILED & older_than("created_at", OVERDUE)),
        )


def status_of(index: IndexDeclaration) -> IndexStatus:
    """Return the current status of an index."""
    return IndexStatus(index)
