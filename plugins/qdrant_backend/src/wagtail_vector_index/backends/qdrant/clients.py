"""The clients of one backend: one for threads, and one for each event loop."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import ssl
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.exceptions import ConfigurationError

from .options import QdrantOptions

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, QdrantClient


class Clients:
    """Makes each client when it is first needed, and none that a fork would share.

    Args:
        options: of the alias.
        where: names alias and host, for errors.
    """

    def __init__(self, options: QdrantOptions, where: str) -> None:
        self.grpc = options.grpc
        self._options = options
        self._where = where
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._sync: SyncClient | None = None
        self._async: dict[asyncio.AbstractEventLoop, LoopClient] = {}

    def sync(self) -> SyncClient:
        """The client that threads share."""
        with self._lock:
            if self._sync is None:
                self._sync = SyncClient(self._options, self._where)
            return self._sync

    async def of_loop(self) -> LoopClient:
        """The client of the running event loop: no connection can be used on another."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._async.get(loop)
            if found is None:
                found = LoopClient(self._options, self._where, self._forget)
                # Without those of loops that were closed, but not shut down.
                kept = {each: it for each, it in self._async.items() if not each.is_closed()}
                self._async = {**kept, loop: found}
        await found.start()
        return found

    def close(self) -> None:
        """Close all; those of other event loops as soon as these get to it."""
        with self._lock:
            client, self._sync = self._sync, None
            loops, self._async = self._async, {}
        if client is not None:
            client.client.close()
        for loop, loop_client in loops.items():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(loop_client.close(), loop)

    async def aclose(self) -> None:
        """Close the client of the running event loop."""
        with self._lock:
            found = self._async.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.close()

    def abandon(self) -> None:
        """In a child process: forget the parent's clients without closing them.

        They stay referenced, since a finaliser could end what the parent still uses.
        """
        _inherited.append((self._sync, self._async))
        self._begin()

    def _forget(self, loop_client: LoopClient) -> None:
        with self._lock:
            self._async = {
                loop: kept for loop, kept in self._async.items() if kept is not loop_client
            }


class SyncClient:
    """The client of threads, and how many of them may use it at once."""

    def __init__(self, options: QdrantOptions, where: str) -> None:
        from qdrant_client import QdrantClient

        self.client: QdrantClient = made(QdrantClient, options, where)
        self.turn = threading.BoundedSemaphore(options.max_connections)


class LoopClient:
    """The client of an event loop, and how many tasks may use it at once.

    It is closed with the loop: one that shuts down closes the asynchronous generators that
    were begun on it; `asyncio.run`, `async_to_sync` and servers all see to that. So one
    generator waits for this moment, and closes the client while there is a loop to do it on.
    """

    def __init__(
        self, options: QdrantOptions, where: str, closed: Callable[[LoopClient], None]
    ) -> None:
        from qdrant_client import AsyncQdrantClient

        self.client: AsyncQdrantClient = made(AsyncQdrantClient, options, where)
        self.turn = asyncio.Semaphore(options.max_connections)
        self._closed = closed
        self._end = self._until_end()
        self._started = False

    async def start(self) -> None:
        """Begin to wait for the end of the loop."""
        if not self._started:
            self._started = True
            await anext(self._end)

    async def close(self) -> None:
        """Give back connections."""
        await self._end.aclose()

    async def _until_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._closed(self)
            await self.client.close()


def made(kind: type[Any], options: QdrantOptions, where: str) -> Any:
    """A client of this kind; it connects later.

    Raises:
        ConfigurationError: a certificate cannot be read, or the client cannot send headers.
    """
    import httpx

    try:
        tls = _rest_tls(options) | _grpc_tls(options)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{where} cannot be asked: CA_CERTIFICATE, CLIENT_CERTIFICATE or CLIENT_KEY cannot be"
            f" read as PEM: {error}."
        ) from error
    most = options.max_connections
    with warnings.catch_warnings():
        # That the key travels unencrypted is said by the system check.
        warnings.simplefilter("ignore", UserWarning)
        return kind(
            url=options.host,
            api_key=options.api_key or None,
            prefer_grpc=options.grpc,
            grpc_port=options.grpc_port,
            timeout=options.timeout,
            # Reported by `health`, once, and not asked in a thread of its own here.
            check_compatibility=False,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            **_headers(kind, options, where),
            **tls,
        )


def _headers(kind: type[Any], options: QdrantOptions, where: str) -> dict[str, Any]:
    if not options.headers:
        return {}
    # HTTP does not care, and gRPC takes no capitals.
    headers = {name.lower(): value for name, value in options.headers.items()}
    if "headers" in inspect.signature(kind.__init__).parameters:
        return {"headers": headers}
    if options.grpc:
        raise ConfigurationError(
            f"{where} cannot be asked: this qdrant-client cannot send HEADERS with GRPC."
            " Run: pip install --upgrade qdrant-client"
        )
    return {"metadata": headers}


def _rest_tls(options: QdrantOptions) -> dict[str, Any]:
    if not options.host.startswith("https://"):
        # Trusts nobody, and isn't asked; loading what the system trusts takes a while.
        return {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
    context = ssl.create_default_context(cafile=options.ca_certificate or None)
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_certificate:
        context.load_cert_chain(options.client_certificate, options.client_key or None)
    return {"verify": context}


def _grpc_tls(options: QdrantOptions) -> dict[str, Any]:
    if not options.grpc:
        return {}
    key = options.client_key or options.client_certificate
    files = {
        "root_certificates": options.ca_certificate,
        "certificate_chain": options.client_certificate,
        "private_key": key,
    }
    return {"grpc_options": {name: Path(file).read_bytes() for name, file in files.items() if file}}


_ALL: weakref.WeakSet[Clients] = weakref.WeakSet()

_inherited: list[Any] = []


def _before_fork() -> None:
    # gRPC ends a child at once if the parent's channels of event loops that ended are left.
    # Some are, until cycles are collected.
    if any(clients.grpc for clients in _ALL):
        gc.collect()


def _after_fork() -> None:
    for clients in list(_ALL):
        clients.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
