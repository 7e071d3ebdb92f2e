"""Drives operations on collections in this process's memory."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from .calling import Call, Outcome, Steps, drive
from .errors import CLIENT_ERRORS, explain
from .options import IN_MEMORY, QdrantOptions

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

T = TypeVar("T")


class MemoryDriver:
    """Asks the client's local mode, one call at a time: it is not made for threads.

    Args:
        options: of the alias.
        where: names the alias, for errors.
    """

    def __init__(self, options: QdrantOptions, where: str) -> None:
        self._options = options
        self._where = where
        self._lock = threading.Lock()
        self._client: QdrantClient | None = None

    def run(self, steps: Steps[T]) -> T:
        """Take all steps, and give what the operation gives."""
        return drive(steps, self._ask)

    async def arun(self, steps: Steps[T]) -> T:
        """Like `run`, in a thread."""
        return await sync_to_async(self.run, thread_sensitive=False)(steps)

    def close(self) -> None:
        """Nothing: there are no connections, and collections stay."""

    async def aclose(self) -> None:
        """Nothing, like `close`."""

    def _ask(self, wanted: Call | list[Call]) -> Outcome:
        if isinstance(wanted, list):
            return [self._outcome(call) for call in wanted]
        return self._outcome(wanted)

    def _outcome(self, call: Call) -> Outcome:
        arguments = call.arguments()
        try:
            with self._lock, warnings.catch_warnings():
                # That it is slow with many records stands in the README.
                warnings.simplefilter("ignore", UserWarning)
                return getattr(self._made(), call.method)(**arguments)
        except CLIENT_ERRORS as error:
            return explain(error, self._where, self._options, call.collection)

    def _made(self) -> Any:
        if self._client is None:
            from qdrant_client import QdrantClient

            self._client = QdrantClient(location=IN_MEMORY)
        return self._client
