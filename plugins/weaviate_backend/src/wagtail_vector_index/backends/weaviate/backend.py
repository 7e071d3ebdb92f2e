"""The Weaviate backend: collections on a server, in the cloud or self-hosted."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.checks import CheckMessage, Warning  # noqa: A004  # Django's name

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Health,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import FilterNode

from .errors import Errors
from .options import WeaviateOptions

if TYPE_CHECKING:
    from .clients import Clients
    from .operations import Operations
    from .running import Runner

__all__ = ["WeaviateBackend"]

# gRPC reads it when it is first imported. Without it, calls in a forked process never end.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")


class WeaviateBackend(VectorBackend):
    """Collections in Weaviate: one of the server's for each, with a property for each field.

    Asynchronous methods use the client's asynchronous kind, one for each event loop.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "weaviate", "HOST": "http://localhost:8080"},
        }
    """

    class Options(WeaviateOptions):
        """The keys beside ``BACKEND``."""

    # What is split up further, into requests that are under way at once.
    max_batch_records = 10_000
    max_batch_bytes = 64 * 2**20

    options: WeaviateOptions

    @cached_property
    def _errors(self) -> Errors:
        return Errors(self.alias, self.options)

    # The client is imported with these: not before the backend is used.

    @cached_property
    def _clients(self) -> Clients:
        from .clients import Clients

        return Clients(self.options, self._errors)

    @cached_property
    def _runner(self) -> Runner:
        from .running import Runner

        return Runner(self._clients, self.options, self._errors)

    @cached_property
    def _operations(self) -> Operations:
        from .operations import Operations

        return Operations(self.options, self._errors)

    def check(self) -> list[CheckMessage]:
        """Warns where Weaviate Cloud is to be asked without a key."""
        if not self.options.endpoints.cloud or self.options.api_key or self.options.headers:
            return []
        return [
            Warning(
                f"Vector backend {self.alias!r} has no key for Weaviate Cloud.",
                hint="Set API_KEY.",
                id="wagtail_vector_index_weaviate.W001",
            )
        ]

    @cached_property
    def _client_warnings(self) -> list[str]:
        from .connecting import client_warnings

        return client_warnings(self.options)

    def health(self) -> Health:
        """Versions, the state of nodes and collections, and how many records they have."""
        from .health import health, with_warnings

        found = self._runner.run(health(self.options, self._operations))
        return with_warnings(found, self._client_warnings)

    async def ahealth(self) -> Health:
        """Like `health`."""
        from .health import health, with_warnings

        found = await self._runner.arun(health(self.options, self._operations))
        return with_warnings(found, await self._in_thread(lambda: self._client_warnings)())

    def close(self) -> None:
        """Give back connections. The backend can be used again afterwards."""
        self._clients.close()

    async def aclose(self) -> None:
        """Like `close`."""
        await self._clients.aclose()

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        from wagtail_vector_index.contract.arrays import first_invalid, matrix

        return first_invalid(matrix(batch), spec.metric)

    # With threads

    def _create(self, spec: CollectionSpec) -> None:
        self._runner.run(self._operations.create(spec))

    def _drop(self, spec: CollectionSpec) -> None:
        self._runner.run(self._operations.drop(spec))

    def _collections(self) -> list[str]:
        return self._runner.run(self._operations.names())

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        self._runner.run(self._operations.upsert(spec, batch))

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        self._runner.run(self._operations.delete(spec, ids))

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return self._runner.run(self._operations.search(spec, vector, limit, filter))

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return self._runner.run(self._operations.count(spec, filter))

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return self._runner.run(self._operations.get(spec, ids))

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        after: UUID | None = None
        while len(page := self._runner.run(self._operations.page(spec, after, batch_size))):
            yield page
            after = page.uuids[-1]

    def _optimize(self, spec: CollectionSpec) -> None:
        self._runner.run(self._operations.optimize(spec))

    # With an event loop

    async def acreate(self, spec: CollectionSpec) -> None:
        """Like `create`."""
        self._check_spec(spec)
        await self._runner.arun(self._operations.create(spec))

    async def adrop(self, spec: CollectionSpec) -> None:
        """Like `drop`."""
        await self._runner.arun(self._operations.drop(spec))

    async def acollections(self) -> list[str]:
        """Like `collections`."""
        return sorted(await self._runner.arun(self._operations.names()))

    async def _aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        await self._runner.arun(self._operations.upsert(spec, batch))

    async def _adelete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        await self._runner.arun(self._operations.delete(spec, ids))

    async def _asearch(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return await self._runner.arun(self._operations.search(spec, vector, limit, filter))

    async def _acount(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return await self._runner.arun(self._operations.count(spec, filter))

    async def _aget(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return await self._runner.arun(self._operations.get(spec, ids))

    async def ascan(
        self, spec: CollectionSpec, *, batch_size: int = 1_000
    ) -> AsyncIterator[RecordBatch]:
        """Like `scan`."""
        self.scan(spec, batch_size=batch_size)  # refuses a wrong size, and reads nothing yet
        after: UUID | None = None
        while len(page := await self._runner.arun(self._operations.page(spec, after, batch_size))):
            yield page
            after = page.uuids[-1]

    async def aoptimize(self, spec: CollectionSpec) -> None:
        """Like `optimize`."""
        await self._runner.arun(self._operations.optimize(spec))
