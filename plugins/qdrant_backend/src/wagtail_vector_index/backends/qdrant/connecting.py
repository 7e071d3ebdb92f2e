"""Makes the clients, with the headers and certificates of the options."""

from __future__ import annotations

import inspect
import ssl
import warnings
from functools import partial
from math import ceil
from typing import Any

import httpx
from qdrant_client import AsyncQdrantClient

from wagtail_vector_index.contract import collect_before_forks
from wagtail_vector_index.contract.services import (
    client_timeout,
    grpc_proxy_options,
    pem_files,
    proxy_of,
)
from wagtail_vector_index.exceptions import ConfigurationError

from .options import QdrantOptions

#: The most milliseconds between two attempts of a channel to connect.
RECONNECT = 2_000


def connected(kind: type[Any], options: QdrantOptions, where: str) -> Any:
    """Return a client of this kind, which connects later.

    Raises:
        ConfigurationError: a certificate cannot be read, the client cannot send headers, or gRPC
            cannot use the proxy.
    """
    if options.grpc:
        collect_before_forks()
    try:
        tls = _rest_tls(options)
        if options.grpc:
            tls["grpc_options"] = pem_files(options) | _channel(options)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{where} cannot be used: CA_CERTIFICATE, CLIENT_CERTIFICATE or CLIENT_KEY cannot be"
            f" read as PEM: {error}."
        ) from error
    most = options.max_connections
    is_async = issubclass(kind, AsyncQdrantClient)
    with warnings.catch_warnings():
        # The system check warns that the key travels unencrypted.
        warnings.simplefilter("ignore", UserWarning)
        return kind(
            url=options.host,
            api_key=options.api_key or None,
            prefer_grpc=options.grpc,
            grpc_port=options.grpc_port,
            # Over gRPC, it holds for every write. Operations end earlier by their own limits.
            timeout=ceil(max(options.timeout, options.write_timeout or 0)) + 1,
            event_hooks={"request": [partial(_ahook if is_async else _hook, options.timeout)]},
            # `health` reports this; the client would start a thread to ask the server for it.
            check_compatibility=False,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
            proxy=proxy_of(options.endpoint) or None,
            trust_env=False,
            **_headers(kind, options, where),
            **tls,
        )


def _hook(seconds: float, request: httpx.Request) -> None:
    """Let a request take as long as its operation; to connect, and to read a state, a time-out.

    The client itself waits no longer than it asks the server to wait for other nodes.
    """
    if whole := client_timeout():
        whole = seconds if request.method == "GET" else whole
        request.extensions["timeout"] = httpx.Timeout(whole, connect=seconds).as_dict()


async def _ahook(seconds: float, request: httpx.Request) -> None:
    _hook(seconds, request)


def _channel(options: QdrantOptions) -> dict[str, Any]:
    """Return the options of a channel: how soon it connects again, and through which proxy."""
    return {
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": RECONNECT,  # also limits an attempt to connect
        "grpc.max_reconnect_backoff_ms": RECONNECT,
        **grpc_proxy_options(options.endpoint),
    }


def _headers(kind: type[Any], options: QdrantOptions, where: str) -> dict[str, Any]:
    if not options.headers:
        return {}
    # gRPC refuses capitals in the name of a header; HTTP ignores case.
    headers = {name.lower(): value for name, value in options.headers.items()}
    if "headers" in inspect.signature(kind.__init__).parameters:
        return {"headers": headers}
    if options.grpc:
        raise ConfigurationError(
            f"{where} cannot be used: this qdrant-client cannot send HEADERS with GRPC."
            " Run: pip install --upgrade qdrant-client"
        )
    return {"metadata": headers}


def _rest_tls(options: QdrantOptions) -> dict[str, Any]:
    if not options.has_tls:
        # Without TLS no certificate is checked, and loading the system's takes a while.
        return {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
    context = ssl.create_default_context(cafile=options.ca_certificate or None)
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_certificate:
        context.load_cert_chain(options.client_certificate, options.client_key or None)
    return {"verify": context}
