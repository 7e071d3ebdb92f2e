"""The clients of one backend: one for threads, and one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


class Clients:
    """Makes each client when it is first needed.

    Args:
        arguments: what both kinds of client are made with.
    """

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._sync: OpenAI | None = None
        self._async: dict[asyncio.AbstractEventLoop, _LoopClient] = {}

    def sync(self) -> OpenAI:
        """The client that threads share."""
        from openai import OpenAI

        with self._lock:
            if self._sync is None:
                self._sync = OpenAI(**self._arguments)
            return self._sync

    async def of_loop(self) -> AsyncOpenAI:
        """The client of the running event loop: no connection can be used on another."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._async.get(loop)
            if found is None:
                found = self._async[loop] = _LoopClient(self._arguments, self._forget)
        await found.start()
        return found.client

    def close(self) -> None:
        """Close all; those of running event loops as soon as these get to it."""
        with self._lock:
            client, self._sync = self._sync, None
            loops, self._async = self._async, {}
        if client is not None:
            client.close()
        for loop, loop_client in loops.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(loop_client.close(), loop)

    def _forget(self, loop_client: _LoopClient) -> None:
        with self._lock:
            self._async = {
                loop: kept for loop, kept in self._async.items() if kept is not loop_client
            }


class _LoopClient:
    """A client that is closed with its event loop.

    A loop that shuts down closes the asynchronous generators that were begun on it:
    `asyncio.run`, `async_to_sync` and servers all see to that. So one generator waits
    for this moment, and closes the client while there is still a loop to do it on.
    """

    def __init__(self, arguments: dict[str, Any], closed: Callable[[_LoopClient], None]) -> None:
        from openai import AsyncOpenAI

        self.client = AsyncOpenAI(**arguments)
        self._closed = closed
        self._end = self._until_end()
        self._started = False

    async def start(self) -> None:
        if not self._started:
            self._started = True
            await anext(self._end)

    async def close(self) -> None:
        await self._end.aclose()

    async def _until_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._closed(self)
            await self.client.close()
