"""One thread of a process that writes changes, where no task queue does."""

from __future__ import annotations

import atexit
import datetime as dt
import logging
import os
import threading
import time

from django.db import connections
from django.utils import timezone

from ..exceptions import RebuildRunning, VectorIndexError
from ..indexes.registry import get_index
from ..indexing.updating import apply_changes, update
from ..models.record import PendingChange

logger = logging.getLogger(__name__)

_FIRST_RETRY = 10.0
_LAST_RETRY = 3_600.0

#: After how long a rebuild that failed goes on, in seconds.
_REBUILD_RETRY = 60.0

#: How long the end of a process is put off for changes that are being written, in seconds.
_AT_EXIT = 5.0


class Worker:
    """Applies the changes of indexes, one index at a time, and tries again what fails.

    The thread ends when there is nothing to do, and is started again when there is.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._to_rebuild: set[str] = set()
        self._thread: threading.Thread | None = None
        self._busy = False

    def wake(self, index_name: str, delay: float = 0.0) -> None:
        """Have the changes of an index applied, after so many seconds at the latest."""
        with self._changed:
            due = time.monotonic() + delay
            self._due[index_name] = min(due, self._due.get(index_name, due))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wagtail-vector-index", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def rebuild(self, index_name: str) -> None:
        """Have an index built anew."""
        with self._changed:
            self._to_rebuild.add(index_name)
            self.wake(index_name)

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is due; whether that came to pass in so many seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        now = time.monotonic()
        return not self._busy and all(due > now for due in self._due.values())

    def _run(self) -> None:
        while (name := self._next()) is not None:
            delay = None
            try:
                rebuilds = name in self._to_rebuild
                delay = self._rebuild(name) if rebuilds else self._apply(name)
            finally:
                connections.close_all()
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
            if delay is not None:
                self.wake(name, delay)

    def _next(self) -> str | None:
        with self._changed:
            while self._due:
                name = min(self._due, key=self._due.__getitem__)
                seconds = self._due[name] - time.monotonic()
                if seconds <= 0:
                    del self._due[name]
                    self._busy = True
                    return name
                self._changed.wait(seconds)
            self._thread = None
            return None

    def _apply(self, name: str) -> float | None:
        """Apply the changes of an index; after how many seconds to try again."""
        try:
            drained = apply_changes(get_index(name))
        except Exception as error:  # the thread must go on
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            delay = min(_FIRST_RETRY * 2.0 ** (failures - 1), _LAST_RETRY)
            logger.warning(
                "Changes of %s are not written yet, and tried again in %.0f s: %s: %s",
                name,
                delay,
                type(error).__name__,
                error,
                exc_info=not isinstance(error, VectorIndexError),
            )
            return delay
        self._failures.pop(name, None)
        return None if drained is None else _seconds_to_next(name)

    def _rebuild(self, name: str) -> float | None:
        """Build an index anew; after how many seconds to try again."""
        self._to_rebuild.discard(name)
        try:
            update(get_index(name), rebuild=True)
        except RebuildRunning as error:
            logger.warning("%s", error)  # which does what was wanted
        except Exception as error:  # the thread must go on
            logger.warning(
                "%s is not rebuilt yet, and it is tried again in %.0f s: %s: %s",
                name,
                _REBUILD_RETRY,
                type(error).__name__,
                error,
                exc_info=not isinstance(error, VectorIndexError),
            )
            self._to_rebuild.add(name)
            return _REBUILD_RETRY
        return self._apply(name)


def _seconds_to_next(index_name: str) -> float | None:
    """How long until an object that failed is to be tried again."""
    rows = PendingChange.objects.filter(index=index_name).order_by("next_attempt")
    when: dt.datetime | None = rows.values_list("next_attempt", flat=True).first()
    return None if when is None else max(1.0, (when - timezone.now()).total_seconds())


_worker = Worker()


def worker() -> Worker:
    """The worker of this process."""
    return _worker


def _after_fork() -> None:
    global _worker  # noqa: PLW0603  # threads and locks do not survive a fork
    _worker = Worker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _finish() -> None:
    if not _worker.wait(_AT_EXIT):
        logger.warning("Some changes stay in the outbox: the process ends.")
