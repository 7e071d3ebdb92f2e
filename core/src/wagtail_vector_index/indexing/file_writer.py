"""A thread that writes files, so that no search waits for the disk.

There is one thread at a time, and none when there is nothing to write. The interpreter waits for it
at exit. A fork waits for it, too: the child would have no thread to complete what was begun.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["finish", "write_later"]


class _Writer:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._is_running = False

    def add(self, write: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(write)
            if self._is_running:
                return
            self._thread = threading.Thread(target=self._run, name="writing of shared memory")
            try:
                self._thread.start()
            except BaseException:
                self._thread = None
                self._waiting.pop()
                raise
            self._is_running = True

    def finish(self) -> None:
        self.stop()
        self.go_on()

    def stop(self) -> None:
        """Wait for the thread, and let none start until `go_on`."""
        self._lock.acquire()
        while self._thread is not None and self._thread.is_alive():
            thread = self._thread
            self._lock.release()
            thread.join()
            self._lock.acquire()

    def go_on(self) -> None:
        self._lock.release()

    def _run(self) -> None:
        while (write := self._next()) is not None:
            write()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._is_running = False
            return None


_writer = _Writer()


@functools.cache
def _stop_at_forks() -> None:
    """Let forks wait for the thread.

    What is registered last is called first before a fork. So this waits before a backend takes
    its own locks there, for which the thread may wait in turn.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_writer.stop, after_in_parent=_writer.go_on, after_in_child=_writer.go_on
        )


def write_later(write: Callable[[], None]) -> None:
    """Call a function in the thread, after those that were given before.

    Args:
        write: the function. It raises nothing, and does not use the database.

    Raises:
        RuntimeError: no thread can be started, for instance because the process ends.
    """
    _stop_at_forks()
    _writer.add(write)


def finish() -> None:
    """Wait until everything is written."""
    _writer.finish()
