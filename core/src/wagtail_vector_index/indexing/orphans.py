"""Finds and removes what indexes that are no longer in the code have left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..models.tables import Collection, Document, PendingChange
from .cleaning import retire
from .problems import Problem

__all__ = ["Orphan", "orphans", "remove"]


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """An index that is in the index tables and not in the code."""

    index: str
    #: Its collections that serve searches or were being built.
    collections: Sequence[Collection]
    #: The number of its documents, without tombstones.
    documents: int
    #: The number of its changes in the outbox.
    pending: int

    @property
    def problem(self) -> Problem:
        """The problem, as commands and the admin show it."""
        return Problem(
            message=(
                f"{self.index} is no longer in the code, but {self.documents} of its chunks and"
                f" {self.pending} of its changes are still stored."
            ),
            remedy="To delete them, run: manage.py purge_vector_indexes",
        )


def orphans(index_names: Iterable[str]) -> list[Orphan]:
    """Return the indexes that have rows in the index tables, but are none of these.

    Args:
        index_names: the names of the indexes in the code.
    """
    known = list(index_names)
    states = (Collection.State.BUILDING, Collection.State.ACTIVE)
    collections = Collection.objects.filter(state__in=states)
    left = [
        *collections.exclude(index__in=known).values_list("index", flat=True),
        *PendingChange.objects.exclude(index__in=known).values_list("index", flat=True).distinct(),
    ]
    return [
        Orphan(
            index=name,
            collections=list(collections.filter(index=name)),
            documents=Document.objects.filter(
                collection__index=name, deleted_at__isnull=True
            ).count(),
            pending=PendingChange.objects.filter(index=name).count(),
        )
        for name in sorted(set(left))
    ]


def remove(orphan: Orphan) -> None:
    """Remove what an index has left; the next cleaning drops its collections."""
    PendingChange.objects.filter(index=orphan.index).delete_in_parts("next_attempt")
    retire(Collection.objects.filter(pk__in=[collection.pk for collection in orphan.collections]))
