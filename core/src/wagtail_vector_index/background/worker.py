"""The thread of a process that writes changes where no task queue does."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

from django.db import connections

from .attempting import attempt

logger = logging.getLogger(__name__)

#: How long a process waits at its end for changes that are being written, in seconds.
_AT_EXIT = 5.0


class Worker:
    """Writes the changes of indexes, one index at a time, and tries again after failures.

    The thread ends when no changes wait, and starts again when there are changes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._to_rebuild: set[str] = set()
        self._thread: threading.Thread | None = None
        self._busy = False

    def wake(self, index_name: str, delay: float = 0.0) -> None:
        """Write the changes of an index in the thread, after ``delay`` seconds at the latest."""
        with self._changed:
            due = time.monotonic() + delay
            self._due[index_name] = min(due, self._due.get(index_name, due))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="wagtail-vector-index", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def rebuild(self, index_name: str, delay: float = 0.0, failures: int = 0) -> None:
        """Rebuild an index in the thread, after ``delay`` seconds at the latest.

        Args:
            index_name: the name of the index.
            delay: the seconds to wait at most.
            failures: the number of rebuilds in a row that have failed. After a failure, the
                rebuild waits for services that failed.
        """
        with self._changed:
            self._to_rebuild.add(index_name)
            self._failures[index_name] = failures
            self.wake(index_name, delay)

    def wait(self, timeout: float) -> bool:
        """Wait until no changes are due; return whether that happened before the timeout."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        now = time.monotonic()
        return not self._busy and all(due > now for due in self._due.values())

    def _run(self) -> None:
        while (name := self._next()) is not None:
            delay = None
            try:
                delay = self._apply(name)
            finally:
                self._rest()
            if delay is not None:
                self.wake(name, delay)

    def _rest(self) -> None:
        try:
            connections.close_all()
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

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
        """Write the changes of an index; return the seconds until the next attempt."""
        with self._changed:
            rebuild = name in self._to_rebuild
            self._to_rebuild.discard(name)
            failures = self._failures.pop(name, 0)
        made = attempt(name, failures, rebuild=rebuild)
        with self._changed:
            if rebuild and made.failures:
                self._to_rebuild.add(name)
            # A rebuild that was requested meanwhile has set its own number, so as not to wait.
            self._failures.setdefault(name, made.failures)
        return made.retry_in


_worker = Worker()


def worker() -> Worker:
    """Return the worker of this process."""
    return _worker


def _after_fork() -> None:
    global _worker  # noqa: PLW0603  # threads and locks do not survive a fork
    _worker = Worker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _finish() -> None:
    if not _worker.wait(_AT_EXIT):
        logger.warning("The process ends before all changes are written. They stay in the outbox.")
