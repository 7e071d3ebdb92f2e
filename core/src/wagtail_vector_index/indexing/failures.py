"""Stores failures of services and objects in the index tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import DataError, Error, IntegrityError, router
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from ..content.declaration import IndexDeclaration
from ..content.text import clean_text
from ..contract.echoes import LEFT_OUT, WITHOUT_CONTENT
from ..exceptions import VectorIndexError
from ..models.sessions import is_down
from ..models.tables import Collection, index_database
from ..plugins.redaction import redacted
from .backoff import OBJECT_DELAY, SERVICE_DELAY, delay_after, seconds_until

__all__ = [
    "FAILED",
    "error_text",
    "is_waiting",
    "keep_error",
    "message_without_content",
    "note_failure",
    "note_success",
    "put_off",
    "seconds_of_pause",
    "stops_index",
]

#: The pending changes that failed at their last attempt.
FAILED = ~Q(last_error="")

_LONGEST_ERROR = 2_000


def error_text(error: BaseException) -> str:
    """Return the text of an error to store, log and show: no secrets of backends, no content.

    Errors outlive the content that they are about. They are also shown to people who may not see
    it.
    """
    message = " ".join(message_without_content(error).split())
    name = type(error).__name__
    return clean_text(redacted(f"{name}: {message}" if message else name))[:_LONGEST_ERROR]


def message_without_content(error: BaseException) -> str:
    """Return the message of an error without what a service or a database quotes in it."""
    quotation = error.quotation if isinstance(error, VectorIndexError) else None
    if quotation == "":
        return str(error)
    if quotation and quotation in str(error):
        before, _, after = str(error).rpartition(quotation)
        return f"{before}{LEFT_OUT}{after}"
    if isinstance(error, Error):
        return _of_database(error)
    return str(getattr(error, WITHOUT_CONTENT, error))


def _of_database(error: Error) -> str:
    """Return what a database says, without the values of rows, which it may quote."""
    lines = str(error).strip().splitlines()
    if lines and not isinstance(error, (DataError, IntegrityError)):
        return lines[0]  # the lines that follow are details, such as the row
    cause = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return str(code or "")


def stops_index(error: Exception, index: IndexDeclaration) -> bool:
    """Return whether an error means that a database is down which all objects of an index need.

    Other errors, also of databases, may come from the query of one object.
    """
    models = index.configuration.models
    return is_down(error, {index_database(), *map(router.db_for_read, models)})


def keep_error(changes: QuerySet[Any], error: Exception) -> str:
    """Store an error with changes that could not be written; return its message."""
    message = error_text(error)
    changes.update(attempts=F("attempts") + 1, last_error=message)
    return message


def put_off(changes: QuerySet[Any], error: Exception) -> str:
    """Store an error with changes, and let them wait; return its message."""
    message = keep_error(changes, error)
    attempts = max(changes.values_list("attempts", flat=True), default=1)
    changes.update(
        next_attempt=timezone.now() + delay_after(attempts, OBJECT_DELAY),
        holder=None,
        holder_seen=None,
    )
    return message


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
    return 0.0 if moment is None else seconds_until(moment, SERVICE_DELAY)
