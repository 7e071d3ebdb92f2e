"""The clients of a service: one for threads, one per event loop, none shared across a fork."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, Never, Protocol, TypeVar, overload

from .forks import abandon_in_children, keep_for_ever

__all__ = ["Clients", "collect_before_forks"]


class Closable(Protocol):
    """A client for threads."""

    def close(self) -> Any:
        """Release the connections."""


class AsyncClosable(Protocol):
    """A client for one event loop."""

    async def close(self) -> Any:
        """Release the connections."""


SyncT = TypeVar("SyncT", bound=Closable)
AsyncT = TypeVar("AsyncT", bound=AsyncClosable)


class Clients(Generic[SyncT, AsyncT]):
    """Makes each client when it is first needed, and keeps it; for backends of any kind.

    Making a client may connect to the service. Callers that need the client meanwhile wait for
    the same attempt. After a failed attempt the next caller tries again. The client of an event
    loop is closed with its loop. A child process makes its own clients, and leaves those of its
    parent alone.

    Args:
        make: makes the client that threads share.
        amake: makes the client of the running event loop; may be a coroutine function. Leave it
            out for a client without an asynchronous side: core calls its backend in threads.

    Example::

        clients = Clients(
            lambda: acme.Client(options.host), lambda: acme.AsyncClient(options.host)
        )
        clients.sync().search(…)
        await (await clients.of_loop()).search(…)
    """

    @overload
    def __init__(self: Clients[SyncT, Never], make: Callable[[], SyncT]) -> None: ...

    @overload
    def __init__(
        self, make: Callable[[], SyncT], amake: Callable[[], AsyncT | Awaitable[AsyncT]]
    ) -> None: ...

    def __init__(
        self,
        make: Callable[[], SyncT],
        amake: Callable[[], AsyncT | Awaitable[AsyncT]] | None = None,
    ) -> None:
        self._make = make
        self._amake = amake
        self._begin()
        abandon_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._sync: Future[SyncT] | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient[AsyncT]] = {}

    def sync(self) -> SyncT:
        """Return the client that threads share."""
        with self._lock:
            future, first = self._sync, self._sync is None
            if future is None:
                future = self._sync = Future()
        # Outside the lock, so that all others wait for this one attempt, not for their turn.
        if first:
            try:
                future.set_result(self._make())
            except BaseException as error:
                with self._lock:
                    if self._sync is future:
                        self._sync = None
                is_failure = isinstance(error, Exception)
                future.set_exception(error if is_failure else RuntimeError("interrupted"))
                raise
        return future.result()

    async def of_loop(self) -> AsyncT:
        """Return the client of the running event loop: its connections work on no other loop.

        Raises:
            TypeError: these clients have no asynchronous side.
        """
        if self._amake is None:
            raise TypeError("These clients have no asynchronous side. Pass amake, or use sync().")
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._loops.get(loop)
            if found is None:
                found = _LoopClient(self._amake, self._forget)
                # A loop that was closed but not shut down has not removed its own client.
                kept = {each: it for each, it in self._loops.items() if not each.is_closed()}
                self._loops = {**kept, loop: found}
        return await found.client()

    def close(self) -> None:
        """Close all clients; a running event loop closes its own as soon as it can.

        Each client is made again when it is next needed.
        """
        with self._lock:
            future, self._sync = self._sync, None
            loops, self._loops = self._loops, {}
        if future is not None and future.exception() is None:
            future.result().close()
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
        """Forget the parent's clients in a child process, without closing them."""
        keep_for_ever(self._sync, self._loops)
        self._begin()

    def _forget(self, loop_client: _LoopClient[AsyncT]) -> None:
        with self._lock:
            self._loops = {
                loop: kept for loop, kept in self._loops.items() if kept is not loop_client
            }


class _LoopClient(Generic[AsyncT]):
    """A client that is closed with its event loop.

    A loop that shuts down closes the asynchronous generators that were started on it:
    `asyncio.run`, `async_to_sync` and servers all do this. So a generator waits for the
    shutdown, and closes the client while the loop still runs.
    """

    def __init__(
        self,
        make: Callable[[], AsyncT | Awaitable[AsyncT]],
        forget: Callable[[_LoopClient[AsyncT]], None],
    ) -> None:
        self._make = make
        self._forget = forget
        self._making: asyncio.Task[AsyncT] | None = None
        self._end: AsyncGenerator[None] | None = None

    async def client(self) -> AsyncT:
        """Return the client, which the first caller makes."""
        if self._making is None:
            self._making = asyncio.ensure_future(self._made())
            self._making.add_done_callback(_note)
        # The shield keeps the client for the other callers if one of them is cancelled.
        return await asyncio.shield(self._making)

    async def close(self) -> None:
        """Release the connections. Wait for a client that is being made, and close it too."""
        if self._making is not None:
            with suppress(Exception):
                await asyncio.shield(self._making)
        if self._end is not None:
            await self._end.aclose()

    async def _made(self) -> AsyncT:
        try:
            made = self._make()
            client: AsyncT = await made if inspect.isawaitable(made) else made
        except BaseException:
            self._forget(self)  # the next caller tries again
            raise
        self._end = self._until_end(client)
        await anext(self._end)
        return client

    async def _until_end(self, client: AsyncT) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._forget(self)
            await client.close()


def _note(making: asyncio.Task[Any]) -> None:
    # Otherwise the loop would report a failure that no caller waits for any more.
    if not making.cancelled():
        making.exception()


@functools.cache
def collect_before_forks() -> None:
    """Collect garbage before each fork; for clients that speak gRPC.

    gRPC ends a child process at once if its parent still holds channels of event loops that have
    ended. Reference cycles keep some of these channels until garbage is collected.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=gc.collect)
