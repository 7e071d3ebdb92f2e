"""The clients of a service: one for threads, one for each event loop, none shared by a fork."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Clients"]


class Closable(Protocol):
    """A client for threads."""

    def close(self) -> Any:
        """Give back connections."""


class AsyncClosable(Protocol):
    """A client for one event loop."""

    async def close(self) -> Any:
        """Give back connections."""


SyncT = TypeVar("SyncT", bound=Closable)
AsyncT = TypeVar("AsyncT", bound=AsyncClosable)


class Clients(Generic[SyncT, AsyncT]):
    """Makes each client when it is first needed, and keeps it; for backends of any kind.

    The client of an event loop is closed with its loop. In a child process all are made anew,
    and those of the parent are left alone.

    Args:
        make: makes the client that threads share; does no I/O.
        amake: makes the client of the running event loop; does no I/O.

    Example::

        clients = Clients(
            lambda: acme.Client(options.host), lambda: acme.AsyncClient(options.host)
        )
        clients.sync().search(…)
        await (await clients.of_loop()).search(…)
    """

    def __init__(self, make: Callable[[], SyncT], amake: Callable[[], AsyncT]) -> None:
        self._make = make
        self._amake = amake
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._sync: SyncT | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient[AsyncT]] = {}

    def sync(self) -> SyncT:
        """The client that threads share."""
        with self._lock:
            if self._sync is None:
                self._sync = self._make()
            return self._sync

    async def of_loop(self) -> AsyncT:
        """The client of the running event loop: no connection can be used on another."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._loops.get(loop)
            if found is None:
                found = _LoopClient(self._amake(), self._forget)
                # Without those of loops that were closed, but not shut down.
                kept = {each: it for each, it in self._loops.items() if not each.is_closed()}
                self._loops = {**kept, loop: found}
        await found.start()
        return found.client

    def close(self) -> None:
        """Close all; those of running event loops as soon as these get to it.

        They are made again when they are next needed.
        """
        with self._lock:
            client, self._sync = self._sync, None
            loops, self._loops = self._loops, {}
        if client is not None:
            client.close()
        for loop, loop_client in loops.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(loop_client.close(), loop)

    async def aclose(self) -> None:
        """Close the client of the running event loop."""
        with self._lock:
            found = self._loops.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.close()

    def abandon(self) -> None:
        """In a child process: forget the parent's clients without closing them.

        They stay referenced, since a finaliser could end what the parent still uses.
        """
        _inherited.append((self._sync, self._loops))
        self._begin()

    def _forget(self, loop_client: _LoopClient[AsyncT]) -> None:
        with self._lock:
            self._loops = {
                loop: kept for loop, kept in self._loops.items() if kept is not loop_client
            }


class _LoopClient(Generic[AsyncT]):
    """A client that is closed with its event loop.

    A loop that shuts down closes the asynchronous generators that were begun on it:
    `asyncio.run`, `async_to_sync` and servers all see to that. So one generator waits for this
    moment, and closes the client while there is still a loop to do it on.
    """

    def __init__(self, client: AsyncT, closed: Callable[[_LoopClient[AsyncT]], None]) -> None:
        self.client = client
        self._closed = closed
        self._end = self._until_end()
        self._started = False

    async def start(self) -> None:
        """Begin to wait for the end of the loop."""
        if not self._started:
            self._started = True
            await anext(self._end)

    async def close(self) -> None:
        """Give back connections."""
        await self._end.aclose()

    async def _until_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._closed(self)
            await self.client.close()


_ALL: weakref.WeakSet[Clients[Any, Any]] = weakref.WeakSet()

_inherited: list[Any] = []


def _after_fork() -> None:
    for clients in list(_ALL):
        clients.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
