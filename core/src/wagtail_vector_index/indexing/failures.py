"""Stores failures of services and objects in the index tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ..content.text import clean_text
from ..models.tables import Collection
from ..plugins.redaction import redacted
from ..wording import describe
from .backoff import SERVICE_DELAY, delay_after

__all__ = [
    "FAILED",
    "error_text",
    "is_waiting",
    "note_failure",
    "note_success",
    "seconds_of_pause",
]

#: The pending changes that failed at their last attempt.
FAILED = ~Q(last_error="")

_LONGEST_ERROR = 2_000


def error_text(error: BaseException) -> str:
    """Return the text of an error to store and show, without the secrets of backends."""
    return clean_text(redacted(describe(error)))[:_LONGEST_ERROR]


def note_failure(collections: QuerySet[Any], message: str) -> None:
    """Store with each of these collections that a service failed, and let the collection wait."""
    for pk, attempts in collections.values_list("pk", "attempts"):
        Collection.objects.filter(pk=pk).update(
            attempts=F("attempts") + 1,
            last_error=message,
            next_attempt=timezone.now() + delay_after(attempts + 1, SERVICE_DELAY),
        )


def note_success(collection: Collection) -> None:
    """Forget the failures of a collection."""
    if collection.attempts:
        own_row = Collection.objects.filter(pk=collection.pk)
        own_row.update(attempts=0, last_error="", next_attempt=None)


def seconds_of_pause(collections: QuerySet[Any]) -> float:
    """Return the seconds until the first of these collections need no longer wait for a service.

    The result is 0 if a collection does not wait.
    """
    moments = collections.values_list("next_attempt", flat=True)
    return min((_seconds_until(moment) for moment in moments), default=0.0)


def is_waiting(collection: Collection) -> bool:
    """Return whether a collection waits for a service that failed."""
    return _seconds_until(collection.next_attempt) > 0


def _seconds_until(moment: dt.datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, (moment - timezone.now()).total_seconds())
