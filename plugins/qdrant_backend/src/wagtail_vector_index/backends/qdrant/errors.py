"""Turns the client's errors into errors of the contract, which say what to do."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import grpc
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from wagtail_vector_index.contract.services import (
    LateError,
    ServiceErrors,
    proxy_of,
    without_credentials,
)
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)

from .options import QdrantOptions

#: The errors that a client raises: its own, gRPC's, and ValueError in local mode.
CLIENT_ERRORS: tuple[type[Exception], ...] = (
    ResponseHandlingException,
    UnexpectedResponse,
    QdrantException,
    grpc.RpcError,
    ValueError,
    AssertionError,
)

#: The HTTP status for each status of gRPC.
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
#: What the client, httpx and gRPC say of a client that was closed.
_CLOSED = ("Client was closed", "client has been closed", "closed channel", "Channel is closed")
_TLS = ("CERTIFICATE", "SSL", "TLS", "Tls", "Hostname Verification")
_OTHER_SHAPE = ("not existing vector name", "vector dimension error", "is not found in the coll")
_ADVICE = {
    401: "does not accept the key. Set API_KEY",
    402: "asks for a payment. Check the plan of the account",
    403: "forbids the request. Check whether API_KEY may write, and whether the server is locked",
    404: "has no such address. Check HOST, and whether the server is too old",
    413: "refuses a request so large. Lower BATCH_SIZE or BATCH_BYTES",
}
_FULL_ADVICE = "has no space left. Make room on its disk, or move to a larger one"


#: The class of an error, and its text.
_Explained: TypeAlias = tuple[type[BackendError], str]


class AlreadyThere(BackendRefused):
    """The collection that was to be made exists already."""


class QdrantErrors(ServiceErrors):
    """Explains the errors that a client raises."""

    longest_quote = 400

    _options: QdrantOptions

    def explain(self, error: Exception, request: Any) -> Exception:
        """Return the error of the contract for a client's error."""
        if isinstance(error, LateError):
            what = self._late_after(error.seconds, self.option_of(error, request))
            return self.make(BackendUnavailable, what, cause=error)
        if _is_closed(error):
            what = "cannot be asked: another thread has closed the backend"
            return self.make(BackendUnavailable, what, cause=error)
        if not isinstance(error, CLIENT_ERRORS):
            return error
        if isinstance(error, ResponseHandlingException):
            kind, what, said = self._unanswered(error.source)
        elif (status := _status(error)) is None and not self._options.in_memory:
            kind, what, said = self._not_qdrant(error)
        else:
            said = _said(error)
            kind, what = self._refusal(status, said.lower(), request.collection) or (
                (BackendRefused, _FULL_ADVICE) if _is_full(error) else self._by_status(error, said)
            )
            if (status or 0) >= 500:
                said = f"{status} {said}"
        return self.make(kind, what, said, cause=error)

    def is_passing(self, error: BaseException, request: Any) -> bool:
        """Return whether the same call may succeed a moment later.

        A read is not sent again after a time-out, because its caller has waited long enough by
        then.
        """
        return _is_passing(error) and (request.writes or not _is_timeout(error))

    def is_getting_ready(self, error: BaseException) -> bool:
        """Return whether a cluster knows a collection, but has not placed its shards yet."""
        return _status(error) == 500 and "0 of 0 read operations" in _said(error)

    def retry_after(self, error: BaseException) -> float | None:
        """Return how many seconds a server that limits the rate asks to wait."""
        if isinstance(error, ResourceExhaustedResponse):
            return float(error.retry_after_s)
        return None

    def _refusal(self, status: int | None, says: str, collection: str) -> _Explained | None:
        if collection and _is_missing(status, says):
            return CollectionNotFound, f"has no collection {collection!r}"
        if status == 409 or "already exists" in says:
            return AlreadyThere, f"has a collection {collection!r} already"
        if any(text in says for text in _OTHER_SHAPE):
            return CollectionMismatch, f"has {collection!r} with another shape"
        return None

    def _by_status(self, error: Exception, says: str) -> _Explained:
        status = _status(error) or 0
        if status == 408:
            return BackendUnavailable, self._late
        if status == 429:
            return BackendUnavailable, "limits the rate. Lower CONCURRENCY"
        if status == 503 and isinstance(error, grpc.RpcError):
            if _is_tls(says):
                return self._without_tls(says)
            advice = "Check the http:// or https:// of HOST, GRPC_PORT, and whether it is up"
            return BackendUnavailable, f"cannot be reached{self._through}. {advice}"
        if status >= 500:
            return BackendUnavailable, "fails. Try again later"
        return BackendRefused, _ADVICE.get(status, "refuses the request")

    def _unanswered(self, source: Any) -> tuple[type[BackendError], str, str]:
        if isinstance(source, httpx.TimeoutException):
            return BackendUnavailable, self._late, ""
        if not isinstance(source, httpx.TransportError):
            return self._not_qdrant(source)
        cause = str(source) or type(source).__name__
        if _is_tls(cause):
            return *self._without_tls(cause), ""
        advice = "Check HOST, and whether it is up"
        return BackendUnavailable, f"cannot be reached{self._through}. {advice}", cause

    def _without_tls(self, cause: str) -> _Explained:
        return BackendUnavailable, (
            f"cannot be reached over TLS: {self.quoted(cause)}. Check the http:// or https:// of"
            " HOST, and set CA_CERTIFICATE if an authority of your own signed the server's"
            " certificate"
        )

    def _not_qdrant(self, error: Exception) -> tuple[type[BackendError], str, str]:
        advice = "Check HOST, and the versions of server and qdrant-client"
        return BackendRefused, f"returned an answer that is not Qdrant's. {advice}", str(error)

    @property
    def _late(self) -> str:
        return self._late_after(self._options.timeout, "TIMEOUT")

    def _late_after(self, seconds: float, option: str) -> str:
        what = f"did not answer within {seconds:g} s{self._through}. Check whether it is up"
        return f"{what}, or raise {option}" if option else what

    @property
    def _through(self) -> str:
        """Words that name the proxy, which may be what fails; empty without one."""
        if proxy := proxy_of(self._options.endpoint):
            return (
                f" through the proxy {without_credentials(proxy)}, which the environment names. If"
                " it needs none, list the host in no_proxy"
            )
        return ""


def _is_passing(error: BaseException) -> bool:
    if _is_closed(error):
        return True
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError) and not _is_tls(str(error.source))
    status = _status(error)
    if status is None or _is_full(error) or (status == 503 and _is_tls(_said(error))):
        return False
    return status in (408, 429) or status >= 500


def _is_closed(error: BaseException) -> bool:
    """Return whether another thread has closed the client. The next attempt makes a new one."""
    # Each library and each way of asking has an exception of its own.
    said = str(getattr(error, "source", error))
    return any(text in said for text in _CLOSED)


def _is_timeout(error: BaseException) -> bool:
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TimeoutException)
    return _status(error) == 408


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
    """Return the HTTP status of an error, or its equivalent; None in local mode."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code
    if isinstance(error, QdrantException):
        return 429  # a plain one if Retry-After is not a whole number, such as a date
    if isinstance(error, grpc.RpcError):
        if "storage locked" in _said(error).lower():
            return 403  # the code is that of a replica that is not ready, whose errors pass
        return _STATUSES.get(error.code(), 500)
    return None


def _said(error: BaseException) -> str:
    """Return the service's own words."""
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
