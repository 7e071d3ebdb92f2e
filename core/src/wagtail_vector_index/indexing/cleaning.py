"""Deletes collections, tombstones and embeddings that are no longer needed."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.db import IntegrityError
from django.db.models import F, QuerySet
from django.utils import timezone

from ..exceptions import ConfigurationError
from ..models.tables import Collection, Document, Embedding
from ..plugins.handlers import vector_backends
from .backoff import CLOCK_DIFFERENCE, older_than
from .failures import error_text, is_waiting, note_failure
from .ownership import is_foreign
from .plan import Plan, live_collections
from .pushing import sweep
from .snapshots import delete_outdated, delete_unused

__all__ = ["clean_up", "next_cleaning", "retire", "sweep_all", "uncleaned"]

logger = logging.getLogger(__name__)

#: How long a replaced collection is kept for searches that are still running.
RETIREMENT = dt.timedelta(minutes=5)

#: How long the settings of a replaced collection are remembered, so that a process which still
#: has them does not turn back the change.
SETTINGS_MEMORY = dt.timedelta(days=30)

#: How long tombstones are kept at least. A process that lags further behind loads the whole
#: collection.
TOMBSTONE_LIFE = dt.timedelta(minutes=50)

#: How long an embedding is kept at least, since its documents may not be written yet.
EMBEDDING_LIFE = dt.timedelta(minutes=50)

#: How much longer the oldest of them may wait for others. On a busy site, a cleaning would
#: otherwise follow each save.
_GATHERING = dt.timedelta(minutes=10)


def next_cleaning() -> dt.datetime | None:
    """Return when `clean_up` has something to delete next, or None if nothing waits for it."""
    return min(_moments(), default=None)


def clean_up(*, at_once: bool = False) -> list[str]:
    """Delete collections, tombstones and embeddings that are no longer needed.

    Args:
        at_once: whether to delete what is kept for some time for the sake of speed.

    Returns:
        what could not be deleted, and why.
    """
    due = [each for each in _retired() if at_once or _due(each) <= timezone.now()]
    problems = [_drop(collection) for collection in due]
    Collection.objects.filter(
        older_than("retired_at", SETTINGS_MEMORY), state=Collection.State.DROPPED
    ).delete_rows()
    deletable = _tombstones()
    if not at_once:
        deletable = deletable.filter(older_than("deleted_at", TOMBSTONE_LIFE))
    deletable.delete_in_parts("deleted_at")
    unused = _unused()
    if not at_once:
        unused = unused.filter(older_than("created_at", EMBEDDING_LIFE))
    try:
        unused.delete_in_parts("pk")
    except IntegrityError:
        problems.append(
            "Unused embeddings were not deleted, because one is in use again. They are deleted the"
            " next time."
        )
    problems = [*filter(None, problems), *_delete_files(at_once=at_once)]
    for problem in problems:
        logger.warning("%s", problem)
    return problems


def _delete_files(*, at_once: bool) -> Iterator[str]:
    """Delete files of processes' memory that are outdated; yield what could not be deleted."""
    backends = []
    for alias in vector_backends:
        with suppress(ConfigurationError):  # a backend that does not work names no files
            backends.append(vector_backends[alias])
    for backend in backends:
        yield from delete_outdated(backend, at_once=at_once)
    yield from delete_unused(backends)


def uncleaned() -> dict[str, int]:
    """Return how much `clean_up` would delete at once: numbers, by what is counted."""
    return {
        "replaced collections": _retired().count(),
        "records of deleted chunks": _tombstones().count(),
        "embeddings that no chunk uses": _unused().count(),
    }


def sweep_all() -> list[str]:
    """Delete from vector backends what is in no document; return what could not be swept."""
    problems = []
    states = (Collection.State.BUILDING, Collection.State.ACTIVE)
    for collection in Collection.objects.filter(state__in=states):
        if is_waiting(collection) or collection.is_behind:
            continue  # the next push comes first
        try:
            sweep(collection, vector_backends[collection.vector_backend])
        except Exception as error:  # noqa: BLE001  # a backend may raise anything
            problems.append(f"{collection} could not be compared: {error_text(error)}")
    return problems


def retire(collections: QuerySet[Any]) -> None:
    """Have collections dropped by the next cleaning, when no search uses them any more."""
    collections.update(state=Collection.State.RETIRED, retired_at=timezone.now())


def _moments() -> Iterator[dt.datetime]:
    yield from map(_due, _retired())
    tombstones = _tombstones().order_by("deleted_at").values_list("deleted_at", flat=True)
    for deleted_at in tombstones[:1]:
        yield _after(deleted_at, TOMBSTONE_LIFE + _GATHERING)
    # Embeddings without documents are rare: an object was deleted before it was written. A look
    # at all embeddings would take too long, and tombstones tell of the others.
    recent = _unused().filter(created_at__gt=timezone.now() - 2 * EMBEDDING_LIFE)
    for created_at in recent.order_by("created_at").values_list("created_at", flat=True)[:1]:
        yield _after(created_at, EMBEDDING_LIFE + _GATHERING)


def _after(moment: dt.datetime, life: dt.timedelta) -> dt.datetime:
    """Return when the life of something ends; now if it began in the future, by a wrong clock."""
    now = timezone.now()
    return now if moment > now + CLOCK_DIFFERENCE else moment + life


def _retired() -> Any:
    return Collection.objects.filter(state=Collection.State.RETIRED)


def _due(collection: Collection) -> dt.datetime:
    """Return when a retired collection is to be dropped; later after a failure."""
    due = _after(collection.retired_at or collection.created_at, RETIREMENT)
    return max(due, collection.next_attempt or due) if is_waiting(collection) else due


def _tombstones() -> Any:
    """Return the tombstones that the vector backend has applied."""
    return Document.objects.filter(
        deleted_at__isnull=False, revision__lte=F("collection__applied_revision")
    )


def _unused() -> Any:
    return Embedding.objects.filter(documents__isnull=True)


def _drop(collection: Collection) -> str:
    """Drop a retired collection; return the problem if its vector backend still has it."""
    # The texts go even if the backend cannot be reached. The row stays, to try again.
    Document.objects.filter(collection=collection).delete_in_parts("revision")
    problem = ""
    try:
        backend = vector_backends[collection.vector_backend]
        if is_foreign(collection, backend):
            problem = (
                f"{collection} is no longer used here. It stays in the vector backend"
                f" {collection.vector_backend!r}, because it was created for another site:"
                f" {collection.owner}. If that site is this one before a move, drop it there"
                " yourself."
            )
        else:
            backend.drop(collection.spec)
    except ConfigurationError as error:
        problem = (
            f"{collection} cannot be dropped from the vector backend {collection.vector_backend!r},"
            f" because the settings no longer lead to it. Drop it there yourself: {error}"
        )
    except Exception as error:  # noqa: BLE001  # a backend may raise anything
        note_failure(Collection.objects.filter(pk=collection.pk), error_text(error))
        return (
            f"{collection} could not be dropped from the vector backend"
            f" {collection.vector_backend!r}, which is tried again: {error_text(error)}"
        )
    live = live_collections(collection.index)
    plan = Plan.of_collection(collection)
    if not collection.served or not live or any(map(plan.fits, live)):
        collection.delete()
    else:  # its settings are remembered
        Collection.objects.filter(pk=collection.pk).update(state=Collection.State.DROPPED)
    return problem
