"""A lock that any number of readers or a single writer can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class ReadWriteLock:
    """Lets searches run in parallel. A write waits for them and then runs alone.

    Neither side starves the other. A waiting writer goes before readers that come later.
    When a writer ends, all readers that wait at that time get the lock before the next
    writer. Such a lock is called phase-fair (Brandenburg and Anderson,
    "Spin-based reader-writer synchronization for multiprocessor real-time systems",
    2010). Not reentrant.
    """

    def __init__(self) -> None:
        self._changed = Condition(Lock())
        self._readers = 0
        self._readers_waiting = 0
        self._writing = False
        self._writers_waiting = 0
        self._phase = 0  # how many times waiting readers were let in

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._changed:
            if self._writing or self._writers_waiting:
                self._wait_to_read()
            else:
                self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._end_reading()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._writers_waiting -= 1
                if not (self._writing or self._writers_waiting):  # interrupted while waiting
                    self._let_readers_in()
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._let_readers_in()

    def _wait_to_read(self) -> None:
        phase = self._phase
        self._readers_waiting += 1
        try:
            while phase == self._phase:
                self._changed.wait()
        except BaseException:  # interrupted, perhaps after this reader was let in
            if phase == self._phase:
                self._readers_waiting -= 1
            else:
                self._end_reading()
            raise

    def _end_reading(self) -> None:
        self._readers -= 1
        if not self._readers:
            self._changed.notify_all()

    def _let_readers_in(self) -> None:
        self._phase += 1
        self._readers += self._readers_waiting
        self._readers_waiting = 0
        self._changed.notify_all()
