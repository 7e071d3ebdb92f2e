"""Turns the errors of client and server into errors of the contract, which say what to do."""

from __future__ import annotations

import re
import ssl
from typing import Any, NamedTuple

import grpc
import httpx
from weaviate.exceptions import (
    InsufficientPermissionsError,
    ResponseCannotBeDecodedError,
    UnexpectedStatusCodeError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from wagtail_vector_index.contract.services import (
    LateError,
    ServiceErrors,
    causes,
    proxy_of,
    said_in,
    without_credentials,
)
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    VectorIndexError,
)

from .options import WeaviateOptions

_KEY = "does not accept the key. Set API_KEY"
_NO_KEYS = (
    "has no keys: it is not set up to check any. Remove API_KEY, or set up keys on the server"
)
_FORBIDDEN = (
    "denies access. Check whether API_KEY may read, write and make COLLECTION_PREFIX's collections"
)
_LIMITED = "limits the rate. Try again later, or lower CONCURRENCY and BATCH_SIZE"
_SLOW = "took too long for its own limit. Try again later, or lower BATCH_SIZE"
_FULL = "takes no more data: its disk or its memory is full, or an operator has set it read-only"
_CERTIFICATE = (
    "has a certificate that is not trusted. Set CA_CERTIFICATE to the authority that signed it"
)
_NO_TLS = "does not use TLS there. Check the http:// or https:// of HOST, and GRPC_SECURE"
_GRPC = "Check GRPC_HOST, GRPC_PORT and GRPC_SECURE"


#: What gRPC says of a channel that was closed, synchronous or not.
_CLOSED = ("closed channel", "Channel is closed")
_FILES = "Check CA_CERTIFICATE and CLIENT_CERTIFICATE"


class TooLarge(BackendRefused):
    """A message is larger than the server or the client accepts."""


class _Meaning(NamedTuple):
    """The meaning of a text in an error of the server."""

    pattern: str
    kind: type[BackendError]
    what: str

    def is_in(self, said: str) -> bool:
        return re.search(self.pattern, said, re.IGNORECASE) is not None


_TLS = (
    _Meaning(r"certificate.?verify|self.signed|unknown.ca", BackendUnavailable, _CERTIFICATE),
    _Meaning(
        r"wrong.version.number|ssl.*(handshake|error)|tls.*handshake", BackendUnavailable, _NO_TLS
    ),
)

_NO_ROOM = _Meaning(
    r"read-?only|disk.*(full|space|usage)|no space left|memory pressure|not enough memory",
    BackendRefused,
    _FULL,
)

_KEYLESS = _Meaning(r"no authentication scheme is configured", BackendRefused, _NO_KEYS)

_SIMILAR = _Meaning(
    r"found similar",
    CollectionMismatch,
    "has a collection whose name differs only in upper and lower case, which is one name to"
    " Weaviate. Set another COLLECTION_PREFIX",
)

#: Weaviate has codes for only a few of its errors. The text identifies the others.
_TEXTS = (
    *_TLS,
    _SIMILAR,
    _Meaning(
        r"could not find class|cannot find index for class|class '.*' not present"
        r"|class .* not found|could not find collection"
        # See GUARD among the properties.
        r"|auto-schema: create collection",
        CollectionNotFound,
        "has no such collection. Run: manage.py update_vector_indexes",
    ),
    _Meaning(
        r"vector (lengths|dimensions)|inconsistent vector|different (vector )?dimension"
        r"|no such prop|vector index .* not found|named vector",
        CollectionMismatch,
        "holds the collection with another shape. Run: manage.py update_vector_indexes --rebuild",
    ),
    _Meaning(r"larger than max|message larger|too large", TooLarge, "refuses a large message"),
    _NO_ROOM,
    _KEYLESS,
    _Meaning(
        r"unauthorized|unauthenticated|invalid api key|anonymous access", BackendRefused, _KEY
    ),
    _Meaning(r"forbidden|insufficient permissions", BackendRefused, _FORBIDDEN),
    _Meaning(
        r"query maximum results exceeded",
        BackendRefused,
        "gives fewer results than MAX_RESULTS. Set it to the server's QUERY_MAXIMUM_RESULTS",
    ),
    _Meaning(
        r"deadline exceeded|timed? ?out|connection (refused|reset)|unavailable|too many requests"
        r"|\b(429|500|502|503|504)\b|no leader|leader not found|broken pipe|not ready"
        r"|cannot achieve consistency|shutting ?down|eof\b",
        BackendUnavailable,
        "fails. Try again later",
    ),
)


_CODE = grpc.StatusCode
_BROKEN_OFF = (BackendUnavailable, "broke off the call. Try again later")

#: The meaning of each gRPC code that identifies an error.
_CODES: dict[grpc.StatusCode, tuple[type[BackendError], str]] = {
    _CODE.UNAUTHENTICATED: (BackendRefused, _KEY),
    _CODE.PERMISSION_DENIED: (BackendRefused, _FORBIDDEN),
    _CODE.UNIMPLEMENTED: (BackendRefused, f"does not speak Weaviate's gRPC there. {_GRPC}"),
    _CODE.FAILED_PRECONDITION: (BackendRefused, "does not allow that"),
    _CODE.RESOURCE_EXHAUSTED: (BackendUnavailable, _LIMITED),
    # The server's own limit: an operation of ours ends before the client's.
    _CODE.DEADLINE_EXCEEDED: (BackendUnavailable, _SLOW),
    _CODE.ABORTED: _BROKEN_OFF,
    _CODE.CANCELLED: _BROKEN_OFF,
    _CODE.INTERNAL: _BROKEN_OFF,
}

#: The meaning of each HTTP status that identifies an error.
_STATUSES: dict[int, tuple[type[BackendError], str]] = {
    401: (BackendRefused, _KEY),
    403: (BackendRefused, _FORBIDDEN),
    404: (BackendRefused, "has no such address. Check whether HOST is a Weaviate server"),
    429: (BackendUnavailable, _LIMITED),
}


class WeaviateErrors(ServiceErrors):
    """Explains the errors of the clients, and the answers of the server that report one.

    Args:
        alias: the key in the settings.
        options: the options of the alias, which name the server.
    """

    _options: WeaviateOptions

    def __init__(self, alias: str, options: WeaviateOptions) -> None:
        server = f"Vector backend {alias!r}: the Weaviate server at"
        super().__init__(f"{server} {options.endpoints.http}", options)
        self._grpc = f"{server} {options.endpoints.grpc} (gRPC)"

    def explain(self, error: Exception, request: Any) -> Exception:
        """Return the error of the contract for an error of gRPC, or of the client over HTTP."""
        if isinstance(error, LateError):
            return self._late(error, request)
        if isinstance(error, grpc.RpcError):
            return self._of_rpc(error)
        if any(text in str(error) for text in _CLOSED):
            what = "cannot be asked: another thread has closed the backend"
            return self.make(BackendUnavailable, what, cause=error, where=self._grpc)
        # Over HTTP, the client lets the errors of several libraries through.
        return error if hasattr(request, "message") else self._of_http(error)

    def of_text(self, said: str, cause: Exception | None = None) -> BackendError:
        """Return the error for the server's text over gRPC, or for its text about a record."""
        refusal = (BackendRefused, "refuses the request")
        kind, what = next(((each.kind, each.what) for each in _TEXTS if each.is_in(said)), refusal)
        return self.make(kind, what, said, cause=cause, where=self._grpc)

    def of_status(self, status: int, body: Any, cause: Exception | None = None) -> BackendError:
        """Return the error for a status and body over HTTP."""
        said = f"{status} {said_in(body)}"
        kind, what = _STATUSES.get(status, (BackendRefused, "refuses the request"))
        if status >= 500 or status in (407, 408):
            way = _through(self._options.endpoints.http)
            kind, what = BackendUnavailable, f"fails{way}. Try again later"
            if _NO_ROOM.is_in(said):
                kind, what = BackendRefused, _FULL
        else:
            known = (each for each in (_SIMILAR, _KEYLESS) if each.is_in(said))
            kind, what = next(((each.kind, each.what) for each in known), (kind, what))
        return self.make(kind, what, said, cause=cause)

    def of_connecting(self, error: Exception) -> VectorIndexError:
        """Return the error for a client that could not connect."""
        if isinstance(error, VectorIndexError):
            return error
        if isinstance(error, WeaviateStartUpError) and "not supported" in str(error):
            return self.make(BackendRefused, f"is too old for the client: {error}", cause=error)
        given = self._options.ca_certificate or self._options.client_certificate
        if isinstance(error, (FileNotFoundError, PermissionError, ssl.SSLError)) and not (
            given or error.filename or error.__cause__
        ):
            return self.of_making(error)  # a file of SSL_CERT_FILE, which Python does not name
        if isinstance(error, OSError) and error.filename:
            problem = f"{error.filename!r} cannot be read ({error.strerror})"
        elif isinstance(error, ssl.SSLError) and not error.__cause__:
            problem = "a file of certificates cannot be used"
        else:
            return self._of_http(error)
        return self.make(BackendRefused, f"cannot be used: {problem}. {_FILES}")

    def _of_rpc(self, error: Any) -> BackendError:
        kind: type[BackendError]
        code, said = error.code(), error.details() or ""
        if code == _CODE.UNAVAILABLE:
            way = _through(self._options.endpoints.grpc_url)
            what = _first(_TLS, said, f"cannot be reached{way}. {_GRPC}")
            kind = BackendUnavailable
        elif code not in _CODES or "larger than max" in said:
            return self.of_text(said, error)
        else:
            kind, what = _CODES[code]
        return self.make(kind, what, said, cause=error, where=self._grpc)

    def _of_http(self, error: Exception) -> BackendError:
        if isinstance(error, (UnexpectedStatusCodeError, InsufficientPermissionsError)):
            return self.of_status(error.status_code, error.error, error)
        if isinstance(error, ResponseCannotBeDecodedError):
            what = "does not answer like Weaviate. Check whether HOST is a Weaviate server"
            return self.make(BackendRefused, what, cause=error)
        if isinstance(error, (WeaviateTimeoutError, httpx.TimeoutException)):
            what = self._too_slow(self._options.endpoints.http)
            return self.make(BackendUnavailable, what, cause=error)
        said = [*filter(None, map(str, causes(error)))]
        way = _through(self._options.endpoints.http)
        otherwise = f"cannot be reached{way}. Check HOST, and whether it is up"
        what = _first(_TLS, " ".join(said), otherwise)
        # The client repeats the error in each of its causes; the last cause is the original.
        return self.make(BackendUnavailable, what, said[-1] if said else "", cause=error)

    def _late(self, error: LateError, request: Any) -> BackendError:
        """Return the error for an operation that has taken all its time."""
        option = self.option_of(error, request)
        what = self._too_slow(self._options.endpoints.http, error.seconds, option)
        if hasattr(request, "message"):  # the client connects over HTTP first
            what = f"and its gRPC at {self._options.endpoints.grpc_url} {what}"
        return self.make(BackendUnavailable, what, cause=error)

    def _too_slow(self, url: str, seconds: float | None = None, option: str = "TIMEOUT") -> str:
        seconds = seconds or self._options.timeout
        what = f"did not answer within {seconds:g} seconds{_through(url)}. Check whether it is up"
        return f"{what}; otherwise raise {option} or lower BATCH_SIZE" if option else what


def _through(url: str) -> str:
    """Return words that name the proxy of a URL, which may be what fails; empty without one."""
    if proxy := proxy_of(url):
        return (
            f" through the proxy {without_credentials(proxy)}, which the environment names. If it"
            " needs none, list the host in no_proxy"
        )
    return ""


def _first(meanings: tuple[_Meaning, ...], said: str, otherwise: str) -> str:
    """Return the first of these meanings that a text has."""
    return next((each.what for each in meanings if each.is_in(said)), otherwise)
