"""What the suites for embedding and reranking backends share: the backend under test."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Generic, TypeVar

from .threads import InThreads

__all__ = ["THREADS", "OneBackend"]

BackendT = TypeVar("BackendT")

#: How many threads use a backend at once.
THREADS = 4


class OneBackend(InThreads, Generic[BackendT]):
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
            self.at_the_end(backend.close)
