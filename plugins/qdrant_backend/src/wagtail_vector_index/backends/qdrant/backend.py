"""The Qdrant backend: collections in a server, or in this process's memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from django.core import checks

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Health,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import FilterNode
from wagtail_vector_index.exceptions import InvalidQuery

from .options import QdrantOptions

if TYPE_CHECKING:
    from .calling import Steps
    from .driving import ServerDriver
    from .memory import MemoryDriver
    from .operations import Operations

__all__ = ["QdrantBackend"]

T = TypeVar("T")


class QdrantBackend(VectorBackend):
    """Collections in a Qdrant server or cluster; or in memory, with ``LOCATION``.

    The client is imported with the first operation, which takes seconds.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "qdrant", "HOST": "https://…:6333", "API_KEY": "…"},
        }
    """

    class Options(QdrantOptions):
        """The keys beside ``BACKEND``; the README says what each is for."""

    # `_upsert` and the others divide them again, into requests that are sent side by side.
    max_batch_records = 10_000
    max_batch_bytes = 64 * 2**20

    options: QdrantOptions

    def __init__(self, alias: str, options: QdrantOptions) -> None:
        super().__init__(alias, options)
        if options.grpc:
            # gRPC reads it when it is first imported. Without it, calls after a fork fail.
            os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")
        self._where = f"Vector backend {alias!r}: Qdrant at {options.host or options.location}"
        self._lock = Lock()
        self._made: ServerDriver | MemoryDriver | None = None

    @property
    def persistent(self) -> bool:
        """Whether there is a server; without one, collections are this process's own."""
        return not self.options.in_memory

    def check(self) -> list[checks.CheckMessage]:
        """Warns where the key travels unencrypted to another machine."""
        host = urlsplit(self.options.host)
        local = host.hostname in ("localhost", "127.0.0.1", "::1")
        if not self.options.api_key or host.scheme == "https" or local:
            return []
        return [
            checks.Warning(
                f"Vector backend {self.alias!r} sends its API_KEY over an unencrypted connection.",
                hint="Let HOST begin with https://.",
                id="wagtail_vector_index_qdrant.W001",
            )
        ]

    def health(self) -> Health:
        """Versions, whether they fit together, and the state and size of each collection."""
        from .health import health

        return self._run(health(self.options))

    def close(self) -> None:
        """Give back connections; collections in memory stay."""
        if self._made is not None:
            self._made.close()

    def _create(self, spec: CollectionSpec) -> None:
        self._run(self._operations.create(spec))

    def _drop(self, spec: CollectionSpec) -> None:
        self._run(self._operations.drop(spec))

    def _collections(self) -> list[str]:
        return self._run(self._operations.collections())

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        self._run(self._operations.upsert(spec, batch))

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        self._run(self._operations.delete(spec, ids))

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return self._run(self._operations.search(spec, vector, limit, filter))

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return self._run(self._operations.count(spec, filter))

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return self._run(self._operations.get(spec, ids))

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        offset: Any = None
        while True:
            batch, offset = self._run(self._operations.page(spec, batch_size, offset))
            if len(batch):
                yield batch
            if offset is None:
                return

    def _optimize(self, spec: CollectionSpec) -> None:
        self._run(self._operations.optimize(spec))

    # The same, asynchronously. What is in memory is searched in threads.

    async def acreate(self, spec: CollectionSpec) -> None:
        """Like `create`."""
        self._check_spec(spec)
        await self._arun(self._operations.create(spec))

    async def adrop(self, spec: CollectionSpec) -> None:
        """Like `drop`."""
        await self._arun(self._operations.drop(spec))

    async def acollections(self) -> list[str]:
        """Like `collections`."""
        return sorted(await self._arun(self._operations.collections()))

    async def aoptimize(self, spec: CollectionSpec) -> None:
        """Like `optimize`."""
        await self._arun(self._operations.optimize(spec))

    async def ahealth(self) -> Health:
        """Like `health`."""
        from .health import health

        return await self._arun(health(self.options))

    async def ascan(
        self, spec: CollectionSpec, *, batch_size: int = 1_000
    ) -> AsyncIterator[RecordBatch]:
        """Like `scan`."""
        if type(batch_size) is not int or batch_size < 1:
            raise InvalidQuery(f"batch_size must be an int of at least 1, not {batch_size!r}.")
        offset: Any = None
        while True:
            batch, offset = await self._arun(self._operations.page(spec, batch_size, offset))
            if len(batch):
                yield batch
            if offset is None:
                return

    async def aclose(self) -> None:
        """Like `close`."""
        if self._made is not None:
            await self._made.aclose()

    async def _aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        await self._arun(self._operations.upsert(spec, batch))

    async def _adelete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        await self._arun(self._operations.delete(spec, ids))

    async def _asearch(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return await self._arun(self._operations.search(spec, vector, limit, filter))

    async def _acount(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return await self._arun(self._operations.count(spec, filter))

    async def _aget(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return await self._arun(self._operations.get(spec, ids))

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        from wagtail_vector_index.contract.arrays import first_invalid, matrix

        return first_invalid(matrix(batch), spec.metric)

    @cached_property
    def _operations(self) -> Operations:
        from .operations import Operations

        return Operations(self.options, self._where)

    @property
    def _driver(self) -> ServerDriver | MemoryDriver:
        with self._lock:  # two drivers in memory would be two stores
            if self._made is None:
                self._made = self._make_driver()
            return self._made

    def _make_driver(self) -> ServerDriver | MemoryDriver:
        if self.options.in_memory:
            from .memory import MemoryDriver

            return MemoryDriver(self.options, self._where)
        from .driving import ServerDriver

        return ServerDriver(self.options, self._where)

    def _run(self, steps: Steps[T]) -> T:
        return self._driver.run(steps)

    async def _arun(self, steps: Steps[T]) -> T:
        return await self._driver.arun(steps)
