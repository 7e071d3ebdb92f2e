"""The services: a Qdrant server, or the client's local mode in this process's memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from operator import attrgetter
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from qdrant_client import AsyncQdrantClient, QdrantClient

from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import Request, Service

from .connecting import connected
from .errors import QdrantErrors
from .naming import collection_name
from .options import IN_MEMORY, QdrantOptions

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Call(Request):
    """A call of a client's method.

    Args:
        method: the name of the method, perhaps after those of attributes and dots.
        collection: the name of the collection in the site, for errors; empty for none.
        arguments: the arguments of the method.
    """

    method: str
    collection: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def call(
    options: QdrantOptions, name: str, method: str, *, writes: bool = False, **arguments: Any
) -> Call:
    """Return a call about a collection; ``name`` is its name in the site."""
    given = {"collection_name": collection_name(options.collection_prefix, name), **arguments}
    return Call(method=method, collection=name, arguments=given, writes=writes)


def service(alias: str, options: QdrantOptions) -> QdrantService:
    """Return the service that the options name."""
    where = f"Vector backend {alias!r}: Qdrant at {options.host or options.location}"
    kind = MemoryService if options.in_memory else QdrantService
    return kind(options, QdrantErrors(where, options))


class QdrantService(Service):
    """Sends requests to a server.

    Args:
        options: the options of the alias.
        errors: explain the errors of the clients.
    """

    def __init__(self, options: QdrantOptions, errors: QdrantErrors) -> None:
        # Local mode is not safe for threads, so it gets one call at a time.
        super().__init__(
            errors,
            # Local mode takes the time that this process needs.
            timeout=inf if options.in_memory else options.timeout,
            retries=options.max_retries,
            concurrency=1 if options.in_memory else options.concurrency,
            connections=1 if options.in_memory else options.max_connections,
        )
        self._options = options

    def connect(self) -> Any:
        """Make a client, which connects later."""
        return connected(QdrantClient, self._options, self.errors.where)

    def aconnect(self) -> Any:
        """Make a client, which connects later."""
        return connected(AsyncQdrantClient, self._options, self.errors.where)

    def send(self, client: Any, request: Call) -> Any:
        """Call the client's method."""
        return attrgetter(request.method)(client)(**request.arguments)


class MemoryService(QdrantService):
    """Sends requests to the client's local mode."""

    @cached_property
    def _client(self) -> QdrantClient:
        return QdrantClient(location=IN_MEMORY)

    def connect(self) -> Any:
        """Return the only client, which holds the collections."""
        return self._client

    aconnect = connect

    def send(self, client: Any, request: Call) -> Any:
        """Call the client's method."""
        with warnings.catch_warnings():
            # The README says that local mode is slow with many records.
            warnings.simplefilter("ignore", UserWarning)
            return super().send(client, request)

    async def arun(self, steps: Steps[T]) -> T:
        """Like `run`, but in a thread."""
        return await sync_to_async(self.run, thread_sensitive=False)(steps)

    def close(self) -> None:
        """Do nothing: there are no connections, and the collections stay."""

    async def aclose(self) -> None:
        """Do nothing, like `close`."""
