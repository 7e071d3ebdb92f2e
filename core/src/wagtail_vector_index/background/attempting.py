"""An attempt to write the changes of an index, and the time of the next attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from django.db import Error
from django.utils import timezone

from ..exceptions import ConfigurationError, RebuildRunning, VectorIndexError
from ..indexes import VectorIndex
from ..indexes.registry import get_index
from ..indexing.backoff import OBJECT_DELAY, SERVICE_DELAY, delay_after, seconds_until
from ..indexing.cleaning import clean_up, next_cleaning, sweep_all
from ..indexing.failures import error_text, is_waiting, note_failure, seconds_of_pause
from ..indexing.plan import live_collections
from ..indexing.updating import Updated, apply_changes, apply_removals, update
from ..models.sessions import again_if_lost
from ..models.tables import PendingChange
from ..models.tenants import current_tenant, has_tables
from ..plugins.redaction import stack_of

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

#: The shortest time between two attempts, in seconds.
_SHORTEST = 1.0


#: The seconds until the next attempt if other processes hold all changes that wait. If one of
#: them ends early, its changes are written then.
_OTHERS = 60.0

#: Errors of this process's settings, which must not make processes with other settings wait. Nor
#: must mistakes in its code, which are other exceptions.
_NOT_NOTED = (ConfigurationError, RebuildRunning)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The result of an attempt."""

    #: The seconds until the next attempt; None if no change waits.
    retry_in: float | None = None
    #: The number of attempts in a row that failed.
    failures: int = 0


def attempt(index_name: str, failures: int = 0, *, rebuild: bool = False) -> Attempt:
    """Write the changes of an index, unless it waits for a service that failed.

    It raises no errors. A change that cannot be written stays in the outbox with its error. A
    change that cannot be sent to the vector backend stays in the index tables until it is sent.

    Removals wait for no embedding service. Afterwards, whatever is due to be cleaned up is, in all
    indexes, and the next attempt comes when the next cleaning is due.

    Args:
        index_name: the name of the index.
        failures: the number of attempts in a row that have failed so far.
        rebuild: whether to rebuild the index. The first attempt does not wait for a service.
    """
    made = _attempt(index_name, failures, rebuild=rebuild)
    if made.retry_in is not None:
        _tried(index_name, lambda: apply_removals(get_index(index_name)))
    cleaning = _tried(index_name, _clean)
    waits = [seconds for seconds in (made.retry_in, cleaning) if seconds is not None]
    return replace(made, retry_in=min(waits, default=None))


def _attempt(index_name: str, failures: int, *, rebuild: bool) -> Attempt:
    try:
        return _made(index_name, failures, rebuild=rebuild)
    except Exception as error:  # noqa: BLE001  # after any error, changes must be tried again
        return _failed(index_name, failures + 1, error)


def _made(index_name: str, failures: int, *, rebuild: bool) -> Attempt:
    # Only the first attempt of a rebuild tries a service that has just failed.
    is_first = rebuild and not failures
    pause = 0.0 if is_first else _seconds_of_pause(index_name)
    if pause:
        return Attempt(retry_in=max(_SHORTEST, pause), failures=failures)
    waits = not is_first and any(map(is_waiting, live_collections(index_name)))
    updated = _write(get_index(index_name), rebuild=rebuild and not waits)
    if updated is None:
        return Attempt()
    failed = failures if rebuild and waits else 0
    if updated.held_back:
        logger.warning("%s", updated.held_back)
        failed = failures + 1
    return Attempt(retry_in=_seconds_to_next(index_name), failures=failed)


@again_if_lost
def _seconds_of_pause(index_name: str) -> float:
    return seconds_of_pause(live_collections(index_name))


def _write(index: VectorIndex, *, rebuild: bool) -> Updated | None:
    if rebuild:
        try:
            return update(index, rebuild=True)
        except RebuildRunning as error:
            # A process with other settings builds the index.
            logger.info("%s is not rebuilt here: %s", index.name, error)
    drained = apply_changes(index)
    return None if drained is None else Updated(drained=drained, built=False)


def _failed(index_name: str, failures: int, error: Exception) -> Attempt:
    try:
        if not has_tables():
            # The schema of a tenant that was removed, or the app is being installed.
            logger.warning(
                "Changes of %s cannot be written, because there are no index tables%s. Run:"
                " manage.py migrate",
                index_name,
                f" in the schema {current_tenant()!r}" if current_tenant() else "",
            )
            return Attempt()
        collections = live_collections(index_name)
        is_elsewhere = isinstance(error, (Error, VectorIndexError))
        is_noted = is_elsewhere and not isinstance(error, _NOT_NOTED)
        if is_noted and not any(map(is_waiting, collections)):
            note_failure(collections, error_text(error))
        pause = seconds_of_pause(collections)
    except Error:  # the database is down
        pause = 0.0
    seconds = pause or delay_after(failures, SERVICE_DELAY).total_seconds()
    logger.warning(
        "Changes of %s could not be written and are tried again in %.0f s: %s%s",
        index_name,
        seconds,
        error_text(error),
        "" if isinstance(error, VectorIndexError) else f"\n{stack_of(error)}",
    )
    return Attempt(retry_in=seconds, failures=failures)


def _clean() -> float | None:
    """Delete what is due; return the seconds until more is due, or None if nothing waits."""
    due = next_cleaning()
    if due is not None and due <= timezone.now():
        sweep_all()
        clean_up()
        due = next_cleaning()
    return None if due is None else max(_SHORTEST, (due - timezone.now()).total_seconds())


def _tried(index_name: str, action: Callable[[], ResultT]) -> ResultT | None:
    try:
        return again_if_lost(action)()
    except Exception as error:  # noqa: BLE001  # the attempt that follows tries it again
        logger.warning("%s: not everything could be removed: %s", index_name, error_text(error))
        return None


@again_if_lost
def _seconds_to_next(index_name: str) -> float | None:
    """Return the seconds until the next attempt after failures, or None if nothing failed."""
    changes = PendingChange.objects.filter(index=index_name)
    is_shared = changes.filter(holder__isnull=False).exists()
    changes = changes.filter(holder=None)
    collections = live_collections(index_name).filter(attempts__gt=0)
    first = changes.order_by("next_attempt").values_list("next_attempt", flat=True)[:1]
    waits = [seconds_until(moment, OBJECT_DELAY) for moment in first]
    waits += [
        seconds_until(moment, SERVICE_DELAY)
        for moment in collections.values_list("next_attempt", flat=True)
        if moment
    ]
    if is_shared and not waits:
        waits = [_OTHERS]
    return max(_SHORTEST, min(waits)) if waits else None
