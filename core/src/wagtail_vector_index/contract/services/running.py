"""The service that runs the operations of a backend, with either kind of client."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from ...exceptions import BackendError, VectorIndexError
from ..clients import Clients
from ..sansio import Call, Steps, arun, run
from .deadlines import Deadline
from .errors import ServiceErrors
from .requests import LateError, Pause, Request, Together, Within

__all__ = ["Service"]

ResultT = TypeVar("ResultT")


class Service(ABC):
    """Carries out the requests of operations.

    Args:
        errors: explain what clients raise.
        timeout: seconds that an operation may take, unless it sets another deadline by `Within`;
            and after which a request that reads is not sent again.
        retries: how often a request is sent again.
        concurrency: how many requests of one `Together` are sent at once.
        connections: how many requests may use one client at once; None for any number.

    Example::

        class AcmeService(Service):
            def connect(self):
                return acme.Client(self.options.host)

            def aconnect(self):
                return acme.AsyncClient(self.options.host)

            def send(self, client, request):
                return getattr(client, request.method)(**request.arguments)
    """

    def __init__(
        self,
        errors: ServiceErrors,
        *,
        timeout: float,
        retries: int = 3,
        concurrency: int = 4,
        connections: int | None = None,
    ) -> None:
        from .retrying import Retries  # needs tenacity, which not everyone who imports the kit has

        self.errors = errors
        self._timeout = timeout
        self._retries = Retries(errors, count=retries, timeout=timeout)
        self._concurrency = concurrency
        self._connections = connections
        self._clients = Clients(self._held, self._aheld)

    @abstractmethod
    def connect(self) -> Any:
        """Make the client that threads share. It may connect, and must have a method ``close``."""

    @abstractmethod
    def aconnect(self) -> Any:
        """Make the client of the running event loop. This may be a coroutine function."""

    @abstractmethod
    def send(self, client: Any, request: Any) -> Any:
        """Send a request with a client of either kind, and return what its method returns.

        The kit awaits the result of an asynchronous client. It explains errors, and sends the
        request again if `ServiceErrors.is_passing`.
        """

    def read(self, request: Any, answer: Any) -> Any:
        """Return the part of an answer that is sent to the operation.

        This may raise, for example for an answer that reports a failure. The error is handled
        like an error of the client.
        """
        return answer

    def run(self, steps: Steps[ResultT]) -> ResultT:
        """Run an operation to its end, and return its result.

        It may take ``timeout`` seconds, unless it sets another deadline.
        """
        return run(steps, partial(self._answer, self._deadline()))

    async def arun(self, steps: Steps[ResultT]) -> ResultT:
        """Like `run`."""
        return await arun(steps, partial(self._aanswer, self._deadline()), blocking=False)

    def close(self) -> None:
        """Release the connections. The service can be used again afterwards."""
        self._clients.close()

    async def aclose(self) -> None:
        """Like `close`, but wait until the client of the running event loop is closed."""
        await self._clients.aclose()
        await asyncio.to_thread(self._clients.close)

    def _deadline(self) -> Deadline:
        deadline = Deadline()
        deadline.set(self._timeout)
        return deadline

    def _held(self) -> _Held:
        turn = threading.BoundedSemaphore(self._connections) if self._connections else None
        return _Held(self.connect(), turn)

    async def _aheld(self) -> _Held:
        turn = asyncio.Semaphore(self._connections) if self._connections else None
        client = self.aconnect()
        return _Held(await client if inspect.isawaitable(client) else client, turn)

    # With threads

    def _answer(self, deadline: Deadline, request: Any) -> Any:
        if isinstance(request, Within):
            return deadline.set(request.seconds)
        if isinstance(request, Pause):
            return time.sleep(min(request.seconds, deadline.left))
        if isinstance(request, Together):
            return self._together(deadline, request.makers)
        if isinstance(request, Call):
            return request.sync()
        return self._retried(deadline, request)

    def _together(self, deadline: Deadline, makers: Any) -> list[Any]:
        workers, outcome = min(len(makers), self._concurrency), partial(self._outcome, deadline)
        if workers <= 1:
            return [outcome(make) for make in makers]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(outcome, makers))

    def _outcome(self, deadline: Deadline, make: Callable[[], Request]) -> Any:
        try:
            return self._retried(deadline, make())
        except BackendError as error:
            return error

    def _retried(self, deadline: Deadline, request: Request) -> Any:
        attempt, started = self._attempts(deadline, request), time.monotonic()
        try:
            return attempt()
        except Exception as error:  # noqa: BLE001  # another attempt may be worth it
            first = error
        try:
            return self._retries.again(attempt, first, request, started, deadline)
        except Exception as error:  # noqa: BLE001  # `explain` knows the client's errors
            failure = self.errors.explained(error, request)
        # Raised outside the handler, so that only a cause that `make` allows is chained.
        raise failure

    def _attempts(self, deadline: Deadline, request: Request) -> Callable[[], Any]:
        """Return a function that sends the request, and undoes the last attempt before the next."""
        before: Exception | None = None

        def attempt() -> Any:
            nonlocal before
            try:
                if before is not None and request.undo is not None:
                    run(request.undo(), partial(self._answer, deadline))
                return deadline.within(partial(self._once, deadline, request))
            except Exception as error:
                before = _telling(error, before)
                if before is error:
                    raise
            raise before

        return attempt

    def _once(self, deadline: Deadline, request: Request) -> Any:
        try:
            held = self._clients.sync()
        except Exception as error:  # noqa: BLE001  # a client may read files and variables
            failure = self._unmade(error, request)
        else:
            return self._sent(deadline, request, held)
        raise failure

    def _unmade(self, error: Exception, request: Request) -> Exception:
        """Return what to raise after a client could not be made."""
        is_known = isinstance(self.errors.explained(error, request), VectorIndexError)
        return error if is_known else self.errors.of_making(error)

    def _sent(self, deadline: Deadline, request: Request, held: _Held) -> Any:
        with held.turn:
            deadline.check()  # the operation may have ended while this thread waited for its turn
            answer = self.send(held.client, request)
        return self.read(request, answer)

    # With an event loop

    async def _aanswer(self, deadline: Deadline, request: Any) -> Any:
        if isinstance(request, Within):
            return deadline.set(request.seconds)
        if isinstance(request, Pause):
            return await asyncio.sleep(min(request.seconds, deadline.left))
        if isinstance(request, Together):
            return await self._atogether(deadline, request.makers)
        if isinstance(request, Call):
            return await request.asynchronous()
        return await self._aretried(deadline, request)

    async def _atogether(self, deadline: Deadline, makers: Any) -> list[Any]:
        places = asyncio.Semaphore(self._concurrency)

        async def outcome(make: Callable[[], Request]) -> Any:
            async with places:
                return await self._aoutcome(deadline, make)

        return await asyncio.gather(*map(outcome, makers))

    async def _aoutcome(self, deadline: Deadline, make: Callable[[], Request]) -> Any:
        try:
            return await self._aretried(deadline, make())
        except BackendError as error:
            return error

    async def _aretried(self, deadline: Deadline, request: Request) -> Any:
        attempt, started = self._aattempts(deadline, request), time.monotonic()
        try:
            return await attempt()
        except Exception as error:  # noqa: BLE001  # as in `_retried`
            first = error
        try:
            return await self._retries.aagain(attempt, first, request, started, deadline)
        except Exception as error:  # noqa: BLE001  # as in `_retried`
            failure = self.errors.explained(error, request)
        raise failure

    def _aattempts(self, deadline: Deadline, request: Request) -> Callable[[], Awaitable[Any]]:
        before: Exception | None = None

        async def attempt() -> Any:
            nonlocal before
            try:
                if before is not None and request.undo is not None:
                    answer = partial(self._aanswer, deadline)
                    await arun(request.undo(), answer, blocking=False)
                return await deadline.awithin(partial(self._aonce, request))
            except Exception as error:
                before = _telling(error, before)
                if before is error:
                    raise
            raise before

        return attempt

    async def _aonce(self, request: Request) -> Any:
        try:
            held = await self._clients.of_loop()
        except Exception as error:  # noqa: BLE001  # as in `_once`
            failure = self._unmade(error, request)
        else:
            return await self._asent(request, held)
        raise failure

    async def _asent(self, request: Request, held: _Held) -> Any:
        async with held.turn:
            answer = await self.send(held.client, request)
        return self.read(request, answer)


def _telling(error: Exception, before: Exception | None) -> Exception:
    """Return the error to raise: the last attempt's, if no time is left for another attempt."""
    return before if isinstance(error, LateError) and before is not None else error


class _Held:
    """A client, and the semaphore that limits the requests that use it at once."""

    def __init__(self, client: Any, turn: Any) -> None:
        self.client = client
        self.turn = turn or nullcontext()

    def close(self) -> Any:
        """Close the client; await the result if the client is asynchronous."""
        return self.client.close()
