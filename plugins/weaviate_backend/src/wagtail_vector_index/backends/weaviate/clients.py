"""The clients of one backend: one for threads, and one for each event loop, in each process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future

from .connecting import Connection, aconnect, connect
from .errors import Errors
from .options import WeaviateOptions

#: Clients of the process that this one was forked from. They are neither used nor closed,
#: and stay referenced, since a finaliser could close what the parent still uses.
_inherited: list[object] = []


class Clients:
    """Connects each client when it is first needed.

    Args:
        options: where to, and how.
        errors: makes what is raised.
    """

    def __init__(self, options: WeaviateOptions, errors: Errors) -> None:
        self._options = options
        self._errors = errors
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._connecting: Future[Connection] | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient] = {}

    def sync(self) -> Connection:
        """The connection that threads share."""
        self._notice_fork()
        with self._lock:
            future = self._connecting
            first = future is None
            if future is None:
                future = self._connecting = Future()
        # Out here: a thread that waits does so for the one that connects, not in a row.
        if first:
            try:
                future.set_result(connect(self._options, self._errors))
            except BaseException as error:
                self._connecting = None
                future.set_exception(error)
                raise
        return future.result()

    async def of_loop(self) -> Connection:
        """The connection of the running event loop: it cannot be used on another."""
        self._notice_fork()
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._loops.get(loop)
            if found is None:
                found = _LoopClient(self._options, self._errors, self._forget)
                # Without those of loops that were closed, but not shut down.
                kept = {each: it for each, it in self._loops.items() if not each.is_closed()}
                self._loops = {**kept, loop: found}
        return await found.connection()

    def close(self) -> None:
        """Close all; those of running event loops as soon as these get to it."""
        self._notice_fork()
        with self._lock:
            future, self._connecting = self._connecting, None
            loops, self._loops = self._loops, {}
        if future is not None and future.exception() is None:
            future.result().client.close()
        for loop, loop_client in loops.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(loop_client.close(), loop)

    async def aclose(self) -> None:
        """Close all, and wait for that of this event loop."""
        self._notice_fork()
        with self._lock:
            found = self._loops.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.close()
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def _notice_fork(self) -> None:
        if self._process != os.getpid():
            _inherited.append((self._connecting, self._loops))
            self._begin()

    def _forget(self, loop_client: _LoopClient) -> None:
        with self._lock:
            self._loops = {
                loop: kept for loop, kept in self._loops.items() if kept is not loop_client
            }


class _LoopClient:
    """A client that is closed with its event loop.

    A loop that shuts down closes the asynchronous generators that were begun on it:
    `asyncio.run`, `async_to_sync` and servers all see to that. So one generator waits
    for this moment, and closes the client while there is still a loop to do it on.
    """

    def __init__(
        self,
        options: WeaviateOptions,
        errors: Errors,
        closed: Callable[[_LoopClient], None],
    ) -> None:
        self._options = options
        self._errors = errors
        self._closed = closed
        self._end = self._until_end()
        self._connecting: asyncio.Task[Connection] | None = None

    async def connection(self) -> Connection:
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
        # A caller who is cancelled does not take the connection from the others.
        return await asyncio.shield(self._connecting)

    async def close(self) -> None:
        await self._end.aclose()

    async def _connect(self) -> Connection:
        try:
            connection = await aconnect(self._options, self._errors)
        except BaseException:
            self._closed(self)  # whoever comes next begins anew
            raise
        await anext(self._end)
        return connection

    async def _until_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._closed(self)
            if self._connecting is not None:
                connection = await self._connecting
                await connection.client.close()
