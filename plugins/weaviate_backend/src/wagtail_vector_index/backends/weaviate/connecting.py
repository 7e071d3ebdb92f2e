"""The client's two kinds of connection. Only this module uses the client's private parts.

Calls over gRPC use the client's own channel and headers, but not its methods for searching.
These wait up to 63 seconds for a server that is down, and their errors differ only in their
text.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx

from wagtail_vector_index.contract import collect_before_forks
from wagtail_vector_index.contract.sansio import Steps, arun, run
from wagtail_vector_index.contract.services import (
    client_timeout,
    grpc_proxy_options,
    pem_files,
    proxy_of,
)
from wagtail_vector_index.exceptions import BackendRefused

from .errors import WeaviateErrors
from .options import WeaviateOptions
from .protocol import weaviate

#: The first release that supports NOT in filters.
OLDEST_SERVER = (1, 33)

#: How soon a channel tries to connect again.
_RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Connection:
    """A connected client.

    Args:
        client: a client of either kind.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        inner = client._connection  # noqa: SLF001
        self.stub = inner.grpc_stub
        self.metadata = inner.grpc_headers()
        self.rest: dict[str, Callable[..., Any]] = {
            name: getattr(inner, name) for name in ("get", "post", "put", "delete")
        }
        self.server_version: str = inner.server_version

    def close(self) -> Any:
        """Release the connections; await the result if the client is asynchronous."""
        return self.client.close()


def connect(options: WeaviateOptions, errors: WeaviateErrors) -> Connection:
    """Return a connected client for threads.

    Raises:
        BackendUnavailable, BackendRefused: the client cannot connect, or cannot be used.
    """
    make = partial(_make, weaviate.WeaviateClient, options, _http)
    return run(_connected(make, errors), lambda method: method())


async def aconnect(options: WeaviateOptions, errors: WeaviateErrors) -> Connection:
    """Like `connect`, for the running event loop."""
    make = partial(_make, weaviate.WeaviateAsyncClient, options, _ahttp)
    return await arun(_connected(make, errors), lambda method: method(), blocking=False)


def _connected(make: Callable[[], Any], errors: WeaviateErrors) -> Steps[Connection]:
    client: Any = None
    try:
        client = make()
        yield client.connect
    except Exception as error:  # noqa: BLE001  # the client raises errors of four libraries
        failure = errors.of_connecting(error)
    else:
        connection = Connection(client)
        if _is_new_enough(connection.server_version):
            return connection
        found, least = connection.server_version, ".".join(map(str, OLDEST_SERVER))
        what = f"has version {found}, which is too old. Upgrade it to {least} or later"
        failure = errors.make(BackendRefused, what)
    if client is not None:
        yield client.close
    raise failure


def client_warnings(options: WeaviateOptions) -> list[str]:
    """Return the warnings of the client's own checks, for example that it is too old."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client: Any = _make(weaviate.WeaviateClient, options, _http, skip_checks=False)
        try:
            client.connect()
        except Exception as error:  # noqa: BLE001  # health reports any error
            return [options.redact(str(error))]
        finally:
            client.close()
    folder = str(Path(weaviate.__file__).parent)
    return [" ".join(str(each.message).split()) for each in caught if folder in each.filename]


def _make(
    kind: Any,
    options: WeaviateOptions,
    http_client: Callable[..., Any],
    *,
    skip_checks: bool = True,
) -> Any:
    from weaviate.auth import Auth
    from weaviate.config import AdditionalConfig, GrpcConfig, Timeout
    from weaviate.connect import ConnectionParams

    collect_before_forks()
    to, seconds = options.endpoints, options.timeout
    milliseconds = max(1, int(1_000 * seconds))
    client = kind(
        connection_params=ConnectionParams.from_params(
            to.http_host, to.http_port, to.http_secure, to.grpc_host, to.grpc_port, to.grpc_secure
        ),
        auth_client_secret=Auth.api_key(options.api_key) if options.api_key else None,
        additional_headers=dict(options.headers) or None,
        additional_config=AdditionalConfig(
            timeout=Timeout(query=seconds, insert=seconds, init=seconds),
            grpc_config=GrpcConfig(
                channel_options=[
                    *_RECONNECT,
                    ("grpc.min_reconnect_backoff_ms", milliseconds),
                    *grpc_proxy_options(to.grpc_url).items(),
                ],
                credentials=_credentials(options),
            ),
        ),
        # Each check asks a package index for the newest release, at every connection.
        skip_init_checks=skip_checks,
    )
    # The client takes no certificates for HTTP, and may take five seconds to connect,
    # whatever its time-outs are.
    client._connection._make_client = lambda colour: http_client(options)  # noqa: SLF001
    return client


def _http_client(kind: type[Any], limit: Callable[..., Any], options: WeaviateOptions) -> Any:
    hooks = {"request": [partial(limit, options.timeout)]}
    proxy = proxy_of(options.endpoints.http) or None
    return kind(verify=_context(options), event_hooks=hooks, proxy=proxy, trust_env=False)


def _limit(seconds: float, request: httpx.Request) -> None:
    """Let a write take as long as its operation; to connect, and to read a schema, a time-out."""
    whole = client_timeout()
    if whole is None or request.method == "GET":
        whole = seconds
    request.extensions["timeout"] = httpx.Timeout(whole, connect=seconds).as_dict()


async def _alimit(seconds: float, request: httpx.Request) -> None:
    _limit(seconds, request)


_http = partial(_http_client, httpx.Client, _limit)
_ahttp = partial(_http_client, httpx.AsyncClient, _alimit)


def _context(options: WeaviateOptions) -> ssl.SSLContext:
    if not options.endpoints.http_secure:
        # Without TLS no certificate is checked, and loading the system's takes a while.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if options.ca_certificate:
        context = ssl.create_default_context(cafile=options.ca_certificate)
    else:
        # As in other clients, SSL_CERT_FILE or SSL_CERT_DIR names the authorities.
        context = httpx.create_ssl_context(trust_env=True)
    if options.client_certificate:
        context.load_cert_chain(options.client_certificate, options.client_key)
    return context


def _credentials(options: WeaviateOptions) -> grpc.ChannelCredentials | None:
    if not options.endpoints.grpc_secure:
        return None
    return grpc.ssl_channel_credentials(**pem_files(options))


def _is_new_enough(version: str) -> bool:
    numbers = version.split(".")[:2]
    return tuple(int(number) for number in numbers) >= OLDEST_SERVER
