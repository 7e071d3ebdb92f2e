"""Runs operations, with either kind of client, and tries again what may succeed then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import tenacity

from wagtail_vector_index.exceptions import BackendError, BackendUnavailable

from .calls import Asked, Operation, Pause, Rest, Rpc, Together
from .clients import Clients
from .connecting import Connection
from .errors import Errors
from .options import WeaviateOptions

ResultT = TypeVar("ResultT")

#: Seconds to wait before the second attempt at most, and before any later one.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


class Runner:
    """Runs operations for one backend.

    Args:
        clients: connect to the server.
        options: how long, how often and how much at once.
        errors: makes what is raised.
    """

    def __init__(self, clients: Clients, options: WeaviateOptions, errors: Errors) -> None:
        self._clients = clients
        self._options = options
        self._errors = errors

    def run(self, operation: Operation[ResultT]) -> ResultT:
        """The result of an operation."""
        asked = _next(operation, None)
        while not isinstance(asked, _Finished):
            try:
                answer = self._answer(asked)
            except BackendError as error:
                asked = _next(operation, error)
            else:
                asked = _next(operation, answer)
        return asked.result  # type: ignore[no-any-return]

    async def arun(self, operation: Operation[ResultT]) -> ResultT:
        """Like `run`."""
        asked = _next(operation, None)
        while not isinstance(asked, _Finished):
            try:
                answer = await self._aanswer(asked)
            except BackendError as error:
                asked = _next(operation, error)
            else:
                asked = _next(operation, answer)
        return asked.result  # type: ignore[no-any-return]

    # With threads

    def _answer(self, asked: Asked) -> Any:
        if isinstance(asked, Pause):
            return time.sleep(asked.seconds)
        if isinstance(asked, Together):
            return self._together(asked)
        return self._retried(asked)

    def _retried(self, call: Rpc | Rest) -> Any:
        return tenacity.Retrying(**self._policy(call))(self._once, call)

    def _once(self, call: Rpc | Rest) -> Any:
        connection = self._clients.sync()
        if isinstance(call, Rest):
            return self._checked(call, self._asked_over_http(connection, call))
        method = getattr(connection.stub, call.method)
        try:
            reply = method(
                call.request, metadata=connection.metadata, timeout=self._options.timeout
            )
        except grpc.RpcError as error:
            failure = self._errors.of_rpc(error)
        else:
            call.verify(reply)
            return reply
        # Out here, so that nothing but what `Errors` allows is chained.
        raise failure

    def _asked_over_http(self, connection: Connection, call: Rest) -> Any:
        try:
            return connection.rest[call.method](**_arguments(call))
        except Exception as error:  # noqa: BLE001  # the client passes on those of its libraries
            failure = self._errors.of_http(error)
        raise failure

    def _together(self, asked: Together) -> list[Any]:
        def outcome(make: Callable[[], Rpc]) -> Any:
            try:
                return self._retried(make())
            except BackendError as error:
                return error

        if len(asked.makers) == 1:
            return [outcome(asked.makers[0])]
        with ThreadPoolExecutor(self._options.concurrency) as pool:
            return list(pool.map(outcome, asked.makers))

    # With an event loop

    async def _aanswer(self, asked: Asked) -> Any:
        if isinstance(asked, Pause):
            return await asyncio.sleep(asked.seconds)
        if isinstance(asked, Together):
            return await self._atogether(asked)
        return await self._aretried(asked)

    async def _aretried(self, call: Rpc | Rest) -> Any:
        return await tenacity.AsyncRetrying(**self._policy(call))(self._aonce, call)

    async def _aonce(self, call: Rpc | Rest) -> Any:
        connection = await self._clients.of_loop()
        if isinstance(call, Rest):
            return self._checked(call, await self._aasked_over_http(connection, call))
        method = getattr(connection.stub, call.method)
        try:
            reply = await method(
                call.request, metadata=connection.metadata, timeout=self._options.timeout
            )
        except grpc.RpcError as error:
            failure = self._errors.of_rpc(error)
        else:
            call.verify(reply)
            return reply
        raise failure

    async def _aasked_over_http(self, connection: Connection, call: Rest) -> Any:
        try:
            return await connection.rest[call.method](**_arguments(call))
        except Exception as error:  # noqa: BLE001  # the client passes on those of its libraries
            failure = self._errors.of_http(error)
        raise failure

    async def _atogether(self, asked: Together) -> list[Any]:
        places = asyncio.Semaphore(self._options.concurrency)

        async def outcome(make: Callable[[], Rpc]) -> Any:
            async with places:
                try:
                    return await self._aretried(make())
                except BackendError as error:
                    return error

        waiting: list[Awaitable[Any]] = [outcome(make) for make in asked.makers]
        return await asyncio.gather(*waiting)

    # With both

    def _policy(self, call: Rpc | Rest) -> dict[str, Any]:
        attempts = tenacity.stop_after_attempt(self._options.retries + 1)
        writes = isinstance(call, Rpc) and call.writes
        return {
            "retry": tenacity.retry_if_exception_type(BackendUnavailable),
            "stop": (
                attempts if writes else attempts | tenacity.stop_before_delay(self._options.timeout)
            ),
            "wait": tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
            "reraise": True,
        }

    def _checked(self, call: Rest, response: Any) -> Any:
        status = response.status_code
        if status == 404 and call.method in ("get", "delete"):
            return None
        try:
            body = response.json() if response.content else {}
        except ValueError:
            body = response.text
        if 200 <= status < 300 and not isinstance(body, str):
            return body
        raise self._errors.of_status(status, body)


class _Finished:
    def __init__(self, result: Any) -> None:
        self.result = result


def _next(operation: Generator[Asked, Any, Any], answer: Any) -> Asked | _Finished:
    """What an operation asks next, after an answer or an error."""
    try:
        if isinstance(answer, BackendError):
            return operation.throw(answer)
        return operation.send(answer)
    except StopIteration as end:
        return _Finished(end.value)


def _arguments(call: Rest) -> dict[str, Any]:
    arguments: dict[str, Any] = {"path": call.path, "params": call.params}
    if call.method in ("post", "put"):
        arguments["weaviate_object"] = call.body
    return arguments
