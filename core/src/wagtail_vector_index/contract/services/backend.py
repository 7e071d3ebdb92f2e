"""The methods of a vector backend, derived from its operations at a service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID

from ..filters import FilterNode
from ..health import Health
from ..recall import Setting
from ..records import Match, RecordBatch
from ..sansio import Steps
from ..spec import CollectionSpec
from .requests import with_deadline
from .running import Service

__all__ = ["Operations", "Query", "ServiceBackend"]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Query:
    """The arguments of a search, which `VectorBackend` has checked.

    Args:
        vector: the query vector, float32.
        limit: the most records to return.
        filter: the filter that the records must match, if any.
        min_score: the lowest score; core leaves out the records below it.
    """

    vector: memoryview[Any]
    limit: int
    filter: FilterNode | None
    min_score: float | None


class Operations(ABC):
    """The operations of a vector backend, each as steps that yield requests to its service.

    The method of `VectorBackend` with the same name and a ``_`` before it says what each must
    do.

    Args:
        options: the options of the alias.
        errors: make the errors that are raised.
    """

    def __init__(self, options: Any, errors: Any) -> None:
        self._options = options
        self._errors = errors

    @abstractmethod
    def create(self, spec: CollectionSpec) -> Steps[None]:
        """Make the collection unless it exists."""

    @abstractmethod
    def drop(self, spec: CollectionSpec) -> Steps[None]:
        """Delete the collection if it exists."""

    @abstractmethod
    def collections(self) -> Steps[list[str]]:
        """Return the names of all collections."""

    @abstractmethod
    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> Steps[None]:
        """Write records; each replaces a record with the same id."""

    @abstractmethod
    def delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        """Delete the records of these ids."""

    @abstractmethod
    def search(self, spec: CollectionSpec, query: Query) -> Steps[list[Match]]:
        """Return the nearest records among those that match the filter."""

    @abstractmethod
    def count(self, spec: CollectionSpec, filter: FilterNode | None) -> Steps[int]:
        """Return the number of records that match the filter."""

    @abstractmethod
    def get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[RecordBatch]:
        """Return the records with these ids, without any that do not exist."""

    @abstractmethod
    def page(self, spec: CollectionSpec, size: int, after: Any) -> Steps[tuple[RecordBatch, Any]]:
        """Return at most ``size`` records, and the ``after`` of the next page.

        ``after`` is None for the first page, and is returned as None with the last.
        """

    def optimize(self, spec: CollectionSpec) -> Steps[None]:
        """Build the index that makes searches fast, after a bulk fill."""
        yield from ()

    def search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings of approximate searches to choose from, the cheapest first."""
        return ()

    def sample(self, spec: CollectionSpec, count: int) -> Steps[RecordBatch]:
        """Return some records, if possible at random."""
        batch, _ = yield from self.page(spec, count, None)
        return batch

    def use_setting(self, spec: CollectionSpec, setting: Setting) -> Steps[None]:
        """Make the service use a setting, unless each search brings its own."""
        yield from ()

    def build_better_index(self, spec: CollectionSpec) -> Steps[bool]:
        """Build an index that finds more; return whether it did."""
        yield from ()
        return False

    def service_run(self) -> Steps[str]:
        """Return a text that changes whenever the service is started again; empty if unknown."""
        yield from ()
        return ""

    def health(self) -> Steps[Health]:
        """Return whether the service works right now."""
        names = yield from self.collections()
        return Health(ok=True, message=f"{len(names)} collections")


class ServiceBackend(ABC):
    """Derives the methods of a vector backend, in both forms, from its operations at a service.

    List this class before `VectorBackend` among the base classes.

    Example::

        class AcmeBackend(ServiceBackend, VectorBackend):
            def _make_service(self):
                from .service import AcmeService

                return AcmeService(self.options)

            def _make_operations(self, service):
                from .operations import AcmeOperations

                return AcmeOperations(self.options, service.errors)
    """

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)  # type: ignore[call-arg]
        self._making = Lock()
        self._made: tuple[Service, Operations] | None = None

    @abstractmethod
    def _make_service(self) -> Service:
        """Make the service when it is first needed. Import its client here, and not before."""

    @abstractmethod
    def _make_operations(self, service: Service) -> Operations:
        """Make the operations, which use the errors of the service."""

    @property
    def _service(self) -> Service:
        return self._parts()[0]

    @property
    def _operations(self) -> Operations:
        return self._parts()[1]

    def _parts(self) -> tuple[Service, Operations]:
        if self._made is None:
            with self._making:  # two services would make twice as many clients
                if self._made is None:
                    service = self._make_service()
                    self._made = service, self._make_operations(service)
        return self._made

    def _run(self, steps: Steps[ResultT]) -> ResultT:
        return self._service.run(steps)

    async def _arun(self, steps: Steps[ResultT]) -> ResultT:
        return await self._service.arun(steps)

    # With threads

    def health(self) -> Health:
        """Return whether the service works right now."""
        return self._run(self._operations.health())

    def service_run(self) -> str:
        """Return a text that changes whenever the service is started again; empty if unknown."""
        return self._run(self._operations.service_run())

    def close(self) -> None:
        """Release the connections. The backend can be used again afterwards."""
        if self._made is not None:
            self._service.close()

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

    def _search(self, spec: CollectionSpec, *asked: Any) -> list[Match]:
        return self._run(_within(spec, self._operations.search(spec, Query(*asked))))

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return self._run(_within(spec, self._operations.count(spec, filter)))

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return self._run(self._operations.get(spec, ids))

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        after: Any = None
        while True:
            batch, after = self._run(self._operations.page(spec, batch_size, after))
            if len(batch):
                yield batch
            if after is None:
                return

    def _optimize(self, spec: CollectionSpec) -> None:
        self._run(self._operations.optimize(spec))

    def _search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        return self._operations.search_settings(spec)

    def _sample(self, spec: CollectionSpec, count: int) -> RecordBatch:
        return self._run(_within(spec, self._operations.sample(spec, count)))

    def _use_setting(self, spec: CollectionSpec, setting: Setting) -> None:
        self._run(self._operations.use_setting(spec, setting))

    def _build_better_index(self, spec: CollectionSpec) -> bool:
        return self._run(self._operations.build_better_index(spec))

    # With an event loop

    async def ahealth(self) -> Health:
        """Like `health`."""
        return await self._arun(self._operations.health())

    async def aclose(self) -> None:
        """Like `close`."""
        if self._made is not None:
            await self._service.aclose()

    async def _acreate(self, spec: CollectionSpec) -> None:
        await self._arun(self._operations.create(spec))

    async def _adrop(self, spec: CollectionSpec) -> None:
        await self._arun(self._operations.drop(spec))

    async def _acollections(self) -> list[str]:
        return await self._arun(self._operations.collections())

    async def _aupsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        await self._arun(self._operations.upsert(spec, batch))

    async def _adelete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        await self._arun(self._operations.delete(spec, ids))

    async def _asearch(self, spec: CollectionSpec, *asked: Any) -> list[Match]:
        return await self._arun(_within(spec, self._operations.search(spec, Query(*asked))))

    async def _acount(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return await self._arun(_within(spec, self._operations.count(spec, filter)))

    async def _aget(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return await self._arun(self._operations.get(spec, ids))

    async def _ascan(self, spec: CollectionSpec, batch_size: int) -> AsyncIterator[RecordBatch]:
        after: Any = None
        while True:
            batch, after = await self._arun(self._operations.page(spec, batch_size, after))
            if len(batch):
                yield batch
            if after is None:
                return

    async def _aoptimize(self, spec: CollectionSpec) -> None:
        await self._arun(self._operations.optimize(spec))


def _within(spec: CollectionSpec, steps: Steps[ResultT]) -> Steps[ResultT]:
    """Return steps that may take the time of the spec, if it has any."""
    return steps if spec.timeout is None else with_deadline(steps, spec.timeout)
