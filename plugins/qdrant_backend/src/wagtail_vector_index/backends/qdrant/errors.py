"""From the client's errors to those of the contract: what happened, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    WriteFailed,
)

from .options import QdrantOptions

#: What a client may raise: errors of its own, those of gRPC, and ValueError in local mode.
CLIENT_ERRORS: tuple[type[Exception], ...] = (
    ResponseHandlingException,
    UnexpectedResponse,
    ResourceExhaustedResponse,
    grpc.RpcError,
    ValueError,
    AssertionError,
)

_LONGEST_QUOTE = 400

#: Statuses of HTTP for those of gRPC.
_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.DEADLINE_EXCEEDED: 408,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}

_FULL = ("no space left", "insufficient storage", "out of disk", "disk usage")
_TLS = ("CERTIFICATE", "SSL", "TLS", "Tls", "Hostname Verification")
_OTHER_SHAPE = ("not existing vector name", "vector dimension error", "is not found in the coll")
_ADVICE = {
    401: "does not accept the key. Set API_KEY",
    402: "wants to be paid. Look at the plan of the account",
    403: "forbids it. May the key of API_KEY write, and is the server not locked?",
    404: "knows no such address. Look at HOST, and whether the server is too old",
    413: "finds the request too large. Lower BATCH_SIZE or BATCH_BYTES",
}
_FULL_ADVICE = "has no space left. Make room on its disk, or move to a larger one"


class AlreadyThere(BackendRefused):
    """A collection that is to be made exists."""


class WriteUnavailable(WriteFailed, BackendUnavailable):
    """Records were not written, since the service could not be reached in time."""


class WriteRefused(WriteFailed, BackendRefused):
    """Records were not written, since the service said no."""


def is_passing(error: BaseException) -> bool:
    """Whether the same call can succeed a moment later."""
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError) and not _is_tls(str(error.source))
    status = _status(error)
    if status == 503 and _is_tls(_said(error)):
        return False
    if status is None or _is_full(error):
        return False
    return status in (408, 429) or status >= 500


def is_timeout(error: BaseException) -> bool:
    """Whether the service did not answer in time."""
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TimeoutException)
    return _status(error) == 408


def is_being_made(error: BaseException) -> bool:
    """Whether a cluster knows a collection already, and has not placed its shards yet."""
    return _status(error) == 500 and "0 of 0 read operations" in _said(error)


def explain(error: Exception, where: str, options: QdrantOptions, collection: str) -> BackendError:
    """The error to raise for one of a client's, with that as its cause if it tells no secret.

    Args:
        error: what the client raised.
        where: names alias and host.
        options: its secrets are made unreadable in what the service says.
        collection: what was asked for; empty for none.
    """
    kind, what = _explained(error, options, collection)
    explained = kind(_sentence(where, options.redact(what)))
    if not any(options.redact(text) != text for text in _texts_of(error)):
        explained.__cause__ = error
    return explained


def _explained(
    error: Exception, options: QdrantOptions, collection: str
) -> tuple[type[BackendError], str]:
    if isinstance(error, ResponseHandlingException):
        return _unanswered(error.source, options)
    says = _said(error)
    lowered = says.lower()
    status = _status(error)
    if status is None and not options.in_memory:
        return _not_qdrant(error)
    if collection and _is_missing(status, lowered):
        return CollectionNotFound, f"has no collection {collection!r}. It says: {says}"
    if status == 409 or "already exists" in lowered:
        return AlreadyThere, f"has a collection {collection!r} already. It says: {says}"
    if any(text in lowered for text in _OTHER_SHAPE):
        return CollectionMismatch, f"has {collection!r} with another shape. It says: {says}"
    if _is_full(error):
        return BackendRefused, f"{_FULL_ADVICE}. It says: {says}"
    return _by_status(error, status or 0, says, options)


def _by_status(
    error: Exception, status: int, says: str, options: QdrantOptions
) -> tuple[type[BackendError], str]:
    if status == 408:
        return BackendUnavailable, f"{_late(options)} It says: {says}"
    if status == 429:
        return BackendUnavailable, f"limits the rate. Lower CONCURRENCY. It says: {says}"
    if status == 503 and isinstance(error, grpc.RpcError):
        if _is_tls(says):
            return _without_tls(says)
        advice = "Look at the http:// or https:// of HOST, at GRPC_PORT, and whether it is up"
        return BackendUnavailable, f"cannot be reached: {says}. {advice}"
    if status >= 500:
        return BackendUnavailable, f"fails. Try again later. It says: {status} {says}"
    return BackendRefused, f"{_ADVICE.get(status, 'refuses the request')}. It says: {says}"


def _unanswered(source: Any, options: QdrantOptions) -> tuple[type[BackendError], str]:
    if isinstance(source, httpx.TimeoutException):
        return BackendUnavailable, _late(options)
    if isinstance(source, httpx.TransportError):
        cause = str(source) or type(source).__name__
        if _is_tls(cause):
            return _without_tls(cause)
        return BackendUnavailable, f"cannot be reached: {cause}. Look at HOST, and whether it is up"
    return _not_qdrant(source)


def _without_tls(cause: str) -> tuple[type[BackendError], str]:
    return BackendUnavailable, (
        f"has no TLS connection to offer: {cause}. Look at the http:// or https:// of HOST,"
        " and set CA_CERTIFICATE if its certificate is signed by an authority of your own"
    )


def _not_qdrant(error: Exception) -> tuple[type[BackendError], str]:
    return BackendRefused, (
        f"gives an answer that is not Qdrant's: {error}. Look at HOST, and at the versions of"
        " server and qdrant-client"
    )


def _late(options: QdrantOptions) -> str:
    return f"did not answer within {options.timeout} s. Is it up? Otherwise raise TIMEOUT."


def _is_missing(status: int | None, says: str) -> bool:
    if status == 404:
        return "doesn't exist" in says or "not found: collection" in says
    return status is None and says.startswith("collection") and says.endswith("not found")


def _is_tls(cause: str) -> bool:
    return any(word in cause for word in _TLS)


def _is_full(error: BaseException) -> bool:
    says = _said(error).lower()
    return _status(error) == 507 or any(text in says for text in _FULL)


def _status(error: BaseException) -> int | None:
    """The HTTP status of an error, or what would be one; None in local mode."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code
    if isinstance(error, ResourceExhaustedResponse):
        return 429
    if isinstance(error, grpc.RpcError):
        if "storage locked" in _said(error).lower():
            return 403  # with the code of a replica that is not ready, which passes
        return _STATUSES.get(error.code(), 500)
    return None


def _said(error: BaseException) -> str:
    """The service's own words."""
    if isinstance(error, grpc.RpcError):
        return str(error.details())
    if not isinstance(error, UnexpectedResponse):
        return str(error)
    text = error.content.decode(errors="replace").strip()
    try:
        text = str(json.loads(text)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        text = "(an HTML page)" if text.startswith("<") else text
    return text or f"{error.status_code} {error.reason_phrase}".strip()


def _sentence(where: str, what: str) -> str:
    text = " ".join(what.split())
    if len(text) > 2 * _LONGEST_QUOTE:
        text = f"{text[:_LONGEST_QUOTE]} … {text[-_LONGEST_QUOTE:]}"
    return f"{where} {text}" if text.endswith((".", "?", "!")) else f"{where} {text}."


def _texts_of(error: BaseException | None) -> Iterator[str]:
    """What an error report may show of an error and of those behind it."""
    while error is not None:
        yield f"{error} {error!r} {getattr(error, 'content', '')!r}"
        error = error.__cause__ or error.__context__
