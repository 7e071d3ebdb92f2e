"""An attempt to write the changes of an index, and when to make the next one."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import Error
from django.utils import timezone

from ..exceptions import RebuildRunning, VectorIndexError
from ..indexes import VectorIndex
from ..indexes.registry import get_index
from ..indexing.backoff import SERVICE_DELAY, delay_after
from ..indexing.draining import Drained
from ..indexing.failures import is_waiting, seconds_of_pause
from ..indexing.plan import live_collections
from ..indexing.updating import apply_changes, update
from ..models.tables import PendingChange
from ..plugins.redaction import redacted, traceback_to_log
from ..wording import describe

logger = logging.getLogger(__name__)

#: The shortest time between two attempts, in seconds.
_SHORTEST = 1.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of an attempt."""

    #: After how many seconds something is to be tried again; None: nothing waits.
    retry_in: float | None = None
    #: How many attempts in a row came to nothing.
    failures: int = 0


def attempt(index_name: str, failures: int = 0, *, rebuild: bool = False) -> Attempt:
    """Write the changes of an index, unless it waits for a service that failed.

    Nothing is raised: what is not written stays in the outbox, or in the record until the
    vector backend is told, with its error.

    Args:
        index_name: the index.
        failures: how many attempts in a row came to nothing until now.
        rebuild: build the index anew; the first attempt doesn't wait for a service.
    """
    try:
        # Only the first attempt of a rebuild tries what has just failed.
        is_first = rebuild and not failures
        pause = 0.0 if is_first else seconds_of_pause(live_collections(index_name))
        if pause:
            return Attempt(retry_in=max(_SHORTEST, pause), failures=failures)
        waits = not is_first and any(map(is_waiting, live_collections(index_name)))
        drained = _write(get_index(index_name), rebuild=rebuild and not waits)
        if drained is None:
            return Attempt()
        return Attempt(
            retry_in=_seconds_to_next(index_name), failures=failures if rebuild and waits else 0
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, changes must not wait for ever
        return _failed(index_name, failures + 1, error)


def _write(index: VectorIndex, *, rebuild: bool) -> Drained | None:
    if rebuild:
        try:
            return update(index, rebuild=True).drained
        except RebuildRunning as error:
            # What was wanted is being done.
            logger.info("%s is not built anew: %s", index.name, error)
    return apply_changes(index)


def _failed(index_name: str, failures: int, error: Exception) -> Attempt:
    try:
        pause = seconds_of_pause(live_collections(index_name))
    except Error:  # the database is down
        pause = 0.0
    seconds = pause or delay_after(failures, SERVICE_DELAY).total_seconds()
    logger.warning(
        "Changes of %s are not written yet, and tried again in %.0f s: %s",
        index_name,
        seconds,
        redacted(describe(error)),
        exc_info=None if isinstance(error, VectorIndexError) else traceback_to_log(error),
    )
    return Attempt(retry_in=seconds, failures=failures)


def _seconds_to_next(index_name: str) -> float | None:
    """How long until an object, or a vector backend, that failed is to be tried again."""
    changes = PendingChange.objects.filter(index=index_name)
    moments = [
        *changes.order_by("next_attempt").values_list("next_attempt", flat=True)[:1],
        *live_collections(index_name).filter(attempts__gt=0).values_list("next_attempt", flat=True),
    ]
    waits = [(moment - timezone.now()).total_seconds() for moment in moments if moment]
    return max(_SHORTEST, min(waits)) if waits else None
