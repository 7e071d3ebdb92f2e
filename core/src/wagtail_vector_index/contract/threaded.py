"""The asynchronous forms of the methods that the author of a backend writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async

from .filters import FilterNode
from .records import Match, RecordBatch
from .spec import CollectionSpec
from .store import Store

__all__ = ["ThreadedStore"]

ArgumentsT = ParamSpec("ArgumentsT")
ResultT = TypeVar("ResultT")


class ThreadedStore(Store):
    """The part of `VectorBackend` that runs synchronous methods in threads.

    A backend whose client is asynchronous itself overrides the methods.
    """

    async def _asearch(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return await self._in_thread(self._search)(spec, vector, limit, filter, min_score)

    async def _aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        await self._in_thread(self._upsert)(spec, batch)

    async def _adelete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        await self._in_thread(self._delete)(spec, ids)

    async def _acount(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return await self._in_thread(self._count)(spec, filter)

    async def _aget(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return await self._in_thread(self._get)(spec, ids)

    async def _acreate(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._create)(spec)

    async def _adrop(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._drop)(spec)

    async def _acollections(self) -> list[str]:
        return await self._in_thread(self._collections)()

    async def _ascan(self, spec: CollectionSpec, batch_size: int) -> AsyncIterator[RecordBatch]:
        batches = await self._in_thread(self._scan)(spec, batch_size)
        while (batch := await self._in_thread(next)(batches, None)) is not None:
            yield batch

    async def _aoptimize(self, spec: CollectionSpec) -> None:
        await self._in_thread(self._optimize)(spec)

    def _in_thread(
        self, function: Callable[ArgumentsT, ResultT]
    ) -> Callable[ArgumentsT, Coroutine[Any, Any, ResultT]]:
        return sync_to_async(function, thread_sensitive=self.thread_sensitive)
