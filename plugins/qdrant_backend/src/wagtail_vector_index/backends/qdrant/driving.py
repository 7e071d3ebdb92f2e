"""Drives operations: makes the calls that they ask for, and sends them what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tenacity import AsyncRetrying, Retrying

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.exceptions import BackendError, BackendUnavailable

from .calling import Call, Outcome, Steps, adrive, drive
from .clients import AsyncClient, SyncClient
from .errors import CLIENT_ERRORS, explain
from .options import QdrantOptions
from .retrying import policy, waiting

T = TypeVar("T")


class ServerDriver:
    """Asks a server, in threads or in an event loop.

    Args:
        options: of the alias.
        where: names alias and host, for errors.
    """

    def __init__(self, options: QdrantOptions, where: str) -> None:
        self._clients = Clients(
            lambda: SyncClient(options, where), lambda: AsyncClient(options, where)
        )
        self._options = options
        self._where = where

    def run(self, steps: Steps[T]) -> T:
        """Take all steps, and give what the operation gives."""
        return drive(steps, self._ask)

    async def arun(self, steps: Steps[T]) -> T:
        """Like `run`."""
        return await adrive(steps, self._aask)

    def close(self) -> None:
        """Give back connections."""
        self._clients.close()

    async def aclose(self) -> None:
        """Give back connections, first those of the running event loop."""
        await self._clients.aclose()
        self._clients.close()

    def _ask(self, wanted: Call | list[Call]) -> Outcome:
        return self._outcomes(wanted) if isinstance(wanted, list) else self._outcome(wanted)

    async def _aask(self, wanted: Call | list[Call]) -> Outcome:
        if isinstance(wanted, list):
            return await self._aoutcomes(wanted)
        return await self._aoutcome(wanted)

    def _outcomes(self, calls: list[Call]) -> list[Outcome]:
        if len(calls) < 2 or self._options.concurrency == 1:
            return [self._outcome(call) for call in calls]
        with ThreadPoolExecutor(min(len(calls), self._options.concurrency)) as pool:
            return list(pool.map(self._outcome, calls))

    async def _aoutcomes(self, calls: list[Call]) -> list[Outcome]:
        turn = asyncio.Semaphore(self._options.concurrency)

        async def in_turn(call: Call) -> Outcome:
            async with turn:
                return await self._aoutcome(call)

        return await asyncio.gather(*map(in_turn, calls))

    def _outcome(self, call: Call) -> Outcome:
        try:
            if call.until is None:
                return self._result(call)
            wait = Retrying(**waiting(call.until, self._options))
            return self._settled(call, wait(self._result, call))
        except BackendError as error:
            return error

    async def _aoutcome(self, call: Call) -> Outcome:
        try:
            if call.until is None:
                return await self._aresult(call)
            wait = AsyncRetrying(**waiting(call.until, self._options))
            return self._settled(call, await wait(self._aresult, call))
        except BackendError as error:
            return error

    def _result(self, call: Call) -> Any:
        used = self._clients.sync()
        method = getattr(used.client, call.method)

        def attempt(arguments: Mapping[str, Any]) -> Any:
            with used.turn:
                return method(**arguments)

        arguments = call.arguments()
        try:
            result = Retrying(**policy(call, self._options))(attempt, arguments)
        except CLIENT_ERRORS as error:
            failure = explain(error, self._where, self._options, call.collection)
        else:
            return _checked(call, result)
        # Out here, so that nothing but what `explain` allows is chained.
        raise failure

    async def _aresult(self, call: Call) -> Any:
        used = await self._clients.of_loop()
        method = getattr(used.client, call.method)

        async def attempt(arguments: Mapping[str, Any]) -> Any:
            async with used.turn:
                return await method(**arguments)

        arguments = call.arguments()
        try:
            result: Any = await AsyncRetrying(**policy(call, self._options))(attempt, arguments)
        except CLIENT_ERRORS as error:
            failure = explain(error, self._where, self._options, call.collection)
        else:
            return _checked(call, result)
        raise failure

    def _settled(self, call: Call, result: Any) -> Any:
        if call.until is not None and not call.until(result):
            raise BackendUnavailable(
                f"{self._where} is still indexing {call.collection!r} after"
                f" {self._options.indexing_timeout} s. It goes on; wait for longer with"
                " INDEXING_TIMEOUT, or update the index again later."
            )
        return result


def _checked(call: Call, result: Any) -> Any:
    if call.check is not None:
        call.check(result)
    return result
