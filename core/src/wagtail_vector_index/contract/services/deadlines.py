"""The deadline of an operation's whole wait, for threads and for event loops."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from math import inf, isinf
from typing import Any, TypeVar

from .requests import LateError
from .waiting import outcome_in_thread

__all__ = ["Deadline", "client_timeout"]

ResultT = TypeVar("ResultT")

_END: Any = object()

#: The seconds that a client waits longer than the operation, whose deadline ends the wait first.
_MOMENT = 1.0

_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def client_timeout() -> float | None:
    """Return the seconds that a client may wait for the request it sends; None for any time.

    They are what is left of the operation, however long that is, and a moment longer. So the
    operation's own deadline ends a request, with an error that tells which one it was. A client
    with a shorter time-out would cut off a bulk write, which the kit would then send again.

    Example::

        def send(self, client, request):
            return client.post(request.path, request.body, timeout=client_timeout())
    """
    deadline = _deadline.get()
    return None if deadline is None else deadline.left + _MOMENT


class Deadline:
    """The time until which an operation may take; there is none at first.

    The kit keeps one for each operation, which sets it by `Within`. Other callers of a service
    may use it by themselves.

    Example::

        deadline = Deadline()
        deadline.set(10)
        answer = deadline.within(send)
    """

    def __init__(self) -> None:
        self._seconds = self._end = inf

    def set(self, seconds: float) -> None:
        """Let the operation take so many more seconds."""
        self._seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    def within(self, call: Callable[[], ResultT]) -> ResultT:
        """Return what a call returns, or raise its error or, when no time is left, `LateError`.

        A client limits only each wait for the network. A service that sends a byte now and then,
        or a slow name server, would hold up the caller for ever. So the call is left to another
        thread, which is free again when the client gives up.
        """
        if isinf(self._end):
            return call()
        self.check()
        context = contextvars.copy_context()
        context.run(_deadline.set, self)
        outcome = outcome_in_thread(partial(context.run, call), self.left)
        if outcome is None:
            raise LateError(self._seconds)
        if outcome[1] is None:
            return outcome[0]
        try:
            raise outcome[1]
        finally:
            del outcome  # the error's traceback refers to this frame

    async def awithin(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Like `within`, on the event loop."""
        if isinf(self._end):
            return await call()
        self.check()
        token = _deadline.set(self)
        try:
            async with asyncio.timeout(self.left) as scope:
                return await call()
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            _deadline.reset(token)
        raise LateError(self._seconds)

    def each(self, parts: Iterator[ResultT]) -> Iterator[ResultT]:
        """Yield the parts of a stream, and wait for each within the deadline.

        Whoever takes the parts may `set` the deadline again after each that brings what the
        operation waits for. Parts that bring nothing, such as a sign of life, do not prolong it.

        Raises:
            LateError: the next part did not come in time. Close the stream.
        """
        while (part := self.within(partial(next, parts, _END))) is not _END:
            yield part

    async def aeach(self, parts: AsyncIterator[ResultT]) -> AsyncIterator[ResultT]:
        """Like `each`, on the event loop."""
        while (part := await self.awithin(partial(anext, parts, _END))) is not _END:
            yield part

    def check(self) -> None:
        """Raise `LateError` if no time is left."""
        if not self.left:
            raise LateError(self._seconds)
