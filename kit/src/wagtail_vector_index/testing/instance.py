"""What the suites for embedding and reranking backends share: the backend under test."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Barrier
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import connections

__all__ = ["THREADS", "OneBackend", "in_threads"]

BackendT = TypeVar("BackendT")
T = TypeVar("T")

#: How many threads use a backend at once.
THREADS = 4


class OneBackend(Generic[BackendT]):
    """A suite whose tests have one backend each."""

    def make_backend(self) -> BackendT:
        """Make a new instance of the backend under test. Override this."""
        raise NotImplementedError(f"{type(self).__name__} must define make_backend().")

    @cached_property
    def backend(self) -> BackendT:
        """The backend under test, one for each test."""
        return self.make_backend()

    def teardown_method(self) -> None:
        if "backend" in self.__dict__:
            backend: Any = self.backend
            backend.close()


def in_threads(work: Callable[[int], T]) -> list[T]:
    """Return what this returns for each of several numbers, called in threads at once."""
    barrier = Barrier(THREADS, timeout=30)

    def at_once(number: int) -> T:
        barrier.wait()
        try:
            return work(number)
        finally:
            if settings.configured:
                connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(at_once, range(THREADS)))
