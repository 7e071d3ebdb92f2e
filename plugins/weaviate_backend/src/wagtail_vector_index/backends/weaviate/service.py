"""The service: requests over gRPC, and over HTTP where gRPC has no call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import Request, Service, client_timeout
from wagtail_vector_index.exceptions import BackendRefused

from .connecting import Connection, aconnect, connect
from .errors import WeaviateErrors
from .options import WeaviateOptions


@dataclass(frozen=True, kw_only=True)
class Rpc(Request):
    """A call over gRPC; its answer is the message of the reply.

    Args:
        method: the name of the method.
        message: the message of the request.
        verify: checks the reply, and raises `BackendUnavailable` to have the call repeated.
    """

    method: Literal["Search", "Aggregate", "BatchObjects", "BatchDelete"]
    message: Any
    verify: Callable[[Any], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Rest(Request):
    """A request over HTTP; its answer is the decoded JSON, or None for a 404.

    Args:
        method: the HTTP method.
        path: the path below ``/v1``.
        body: the body, sent as JSON.
        params: the query of the URL.
    """

    method: Literal["get", "post", "put", "delete"]
    path: str
    body: Any = None
    params: dict[str, str] | None = None


def nodes(path: str = "/nodes") -> Steps[list[dict[str, Any]]]:
    """Return the nodes with all of their shards, or with the shards of one collection."""
    answer = yield from allowed(path, output="verbose")
    return (answer or {}).get("nodes") or []


def statistics() -> Steps[list[dict[str, Any]]]:
    """Return the state of the agreement between the nodes, as each node that answers sees it."""
    answer = yield from allowed("/cluster/statistics")
    return (answer or {}).get("statistics") or []


def allowed(path: str, **params: str) -> Steps[Any]:
    """Return the answer of a path, or None if the key may use collections, but not read it."""
    try:
        return (yield Rest(method="get", path=path, params=params or None))
    except BackendRefused:
        return None


class WeaviateService(Service):
    """Sends requests to a server.

    Args:
        options: the options of the alias.
        errors: explain the errors of the clients.
    """

    errors: WeaviateErrors

    def __init__(self, options: WeaviateOptions, errors: WeaviateErrors) -> None:
        super().__init__(
            errors,
            timeout=options.timeout,
            retries=options.max_retries,
            concurrency=options.concurrency,
        )
        self._options = options

    def connect(self) -> Connection:
        """Connect a client for threads."""
        return connect(self._options, self.errors)

    async def aconnect(self) -> Connection:
        """Connect a client for the running event loop."""
        return await aconnect(self._options, self.errors)

    def send(self, client: Connection, request: Rpc | Rest) -> Any:
        """Call the client's gRPC stub, or its HTTP methods."""
        if isinstance(request, Rpc):
            method = getattr(client.stub, request.method)
            return method(request.message, metadata=client.metadata, timeout=client_timeout())
        arguments: dict[str, Any] = {"path": request.path, "params": request.params}
        if request.method in ("post", "put"):
            arguments["weaviate_object"] = request.body
        return client.rest[request.method](**arguments)

    def read(self, request: Rpc | Rest, answer: Any) -> Any:
        """Return the reply's message, or the decoded JSON."""
        if isinstance(request, Rpc):
            if request.verify is not None:
                request.verify(answer)
            return answer
        status = answer.status_code
        if status == 404 and request.method in ("get", "delete"):
            return None
        try:
            body = answer.json() if answer.content else {}
        except ValueError:
            body = answer.text
        if 200 <= status < 300 and not isinstance(body, str):
            return body
        raise self.errors.of_status(status, body)
