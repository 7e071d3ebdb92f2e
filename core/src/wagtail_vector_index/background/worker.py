"""The thread of a process that writes changes where no task queue does."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import threading
import time
from typing import TypeAlias

from django.db import connections

from ..models.tenants import current_tenant, in_tenant
from .attempting import attempt

logger = logging.getLogger(__name__)

#: How long a process waits at its end for changes that are being written, in seconds.
_AT_EXIT = 5.0


#: A tenant, and the name of one of its indexes.
_Work: TypeAlias = "tuple[str, str]"


class Worker:
    """Writes the changes of indexes, one index at a time, and tries again after failures.

    On a site with tenants, it does so in the schema of the tenant that asked for it.

    The thread ends when no changes wait, and starts again when there are changes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[_Work, float] = {}
        self._failures: dict[_Work, int] = {}
        self._to_rebuild: set[_Work] = set()
        self._thread: threading.Thread | None = None
        self._busy = False

    def wake(self, index_name: str, delay: float = 0.0) -> None:
        """Write the changes of an index in the thread, after ``delay`` seconds at the latest."""
        with self._changed:
            work = current_tenant(), index_name
            due = time.monotonic() + delay
            self._due[work] = min(due, self._due.get(work, due))
            if self._thread is None or not self._thread.is_alive():
                _warn_without_threads()
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
            work = current_tenant(), index_name
            self._to_rebuild.add(work)
            self._failures[work] = failures
            self.wake(index_name, delay)

    def wait(self, timeout: float) -> bool:
        """Wait until no changes are due; return whether that happened before the timeout."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        now = time.monotonic()
        return not self._busy and all(due > now for due in self._due.values())

    def _run(self) -> None:
        while (work := self._next()) is not None:
            tenant, name = work
            delay = None
            with in_tenant(tenant):
                try:
                    delay = self._apply(work)
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

    def _next(self) -> _Work | None:
        with self._changed:
            while self._due:
                work = min(self._due, key=self._due.__getitem__)
                seconds = self._due[work] - time.monotonic()
                if seconds <= 0:
                    del self._due[work]
                    self._busy = True
                    return work
                self._changed.wait(seconds)
            self._thread = None
            return None

    def _apply(self, work: _Work) -> float | None:
        """Write the changes of an index; return the seconds until the next attempt."""
        with self._changed:
            rebuild = work in self._to_rebuild
            self._to_rebuild.discard(work)
            failures = self._failures.pop(work, 0)
        made = attempt(work[1], failures, rebuild=rebuild)
        with self._changed:
            if rebuild and made.failures:
                self._to_rebuild.add(work)
            # A rebuild that was requested meanwhile has set its own number, so as not to wait.
            self._failures.setdefault(work, made.failures)
        return made.retry_in


@functools.cache
def _warn_without_threads() -> None:
    """Warn once if this is a process of uWSGI that runs no threads."""
    options = getattr(sys.modules.get("uwsgi"), "opt", None)
    if options is not None and not {"enable-threads", "threads"} & set(options):
        logger.warning(
            "uWSGI runs no threads, so no changes are written in this process. Set"
            " enable-threads = true for uWSGI, or use a task queue."
        )


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
