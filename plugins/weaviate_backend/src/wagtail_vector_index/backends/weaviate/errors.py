"""What goes wrong at a server, in the words of the project: what it is, and what to do."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)

from .options import WeaviateOptions

_LONGEST_QUOTE = 300

_KEY = "does not accept the key. Set API_KEY"
_FORBIDDEN = "forbids it. May the key of API_KEY read, write and make collections of PREFIX?"
_LIMITED = "limits the rate. Try again later, or lower CONCURRENCY and BATCH_SIZE"
_FULL = "takes no more data: its disk or its memory is full, or an operator has set it read-only"
_CERTIFICATE = (
    "has a certificate that is not trusted. Set CA_CERTIFICATE to the authority that signed it"
)
_NO_TLS = "speaks no TLS there. Look at whether HOST begins with https://, and at GRPC_SECURE"
_GRPC = "Look at GRPC_HOST, GRPC_PORT and GRPC_SECURE"


class TooLarge(BackendRefused):
    """A message is larger than the server, or the client, takes."""


@dataclass(frozen=True)
class _Meaning:
    """What a text of the server's means."""

    pattern: re.Pattern[str]
    kind: type[BackendError]
    what: str


def _meaning(pattern: str, kind: type[BackendError], what: str) -> _Meaning:
    return _Meaning(re.compile(pattern, re.IGNORECASE), kind, what)


_TLS = (
    _meaning(r"certificate.?verify|self.signed|unknown.ca", BackendUnavailable, _CERTIFICATE),
    _meaning(
        r"wrong.version.number|ssl.*(handshake|error)|tls.*handshake", BackendUnavailable, _NO_TLS
    ),
)

_NO_ROOM = _meaning(
    r"read-?only|disk.*(full|space|usage)|no space left|memory pressure|not enough memory",
    BackendRefused,
    _FULL,
)

#: Weaviate has codes for few of its errors: what the others are stands in their text.
_TEXTS = (
    *_TLS,
    _meaning(
        r"could not find class|cannot find index for class|class '.*' not present"
        r"|class .* not found|could not find collection",
        CollectionNotFound,
        "has no such collection. Run: manage.py update_vector_indexes",
    ),
    _meaning(
        r"vector (lengths|dimensions)|inconsistent vector|different (vector )?dimension"
        r"|no such prop|vector index .* not found|named vector",
        CollectionMismatch,
        "holds the collection with another shape. Run: manage.py update_vector_indexes --rebuild",
    ),
    _meaning(r"larger than max|message larger|too large", TooLarge, "finds a message too large"),
    _NO_ROOM,
    _meaning(
        r"unauthorized|unauthenticated|invalid api key|anonymous access", BackendRefused, _KEY
    ),
    _meaning(
        r"query maximum results exceeded",
        BackendRefused,
        "gives fewer results than MAX_RESULTS. Set it to the server's QUERY_MAXIMUM_RESULTS",
    ),
    _meaning(
        r"deadline exceeded|timed? ?out|connection (refused|reset)|unavailable|too many requests"
        r"|\b(429|500|502|503|504)\b|no leader|leader not found|broken pipe|not ready"
        r"|cannot achieve consistency|shutting ?down|eof\b",
        BackendUnavailable,
        "fails. Try again later",
    ),
)


class Errors:
    """Makes the errors of one backend.

    Args:
        alias: the key in the settings.
        options: name the server; their secrets are made unreadable.
    """

    def __init__(self, alias: str, options: WeaviateOptions) -> None:
        self._options = options
        self._http = f"Vector backend {alias!r}: the Weaviate server at {options.endpoints.http}"
        self._grpc = (
            f"Vector backend {alias!r}: the Weaviate server at {options.endpoints.grpc} (gRPC)"
        )

    def refused(self, what: str) -> BackendRefused:
        """That the server cannot be used as it is."""
        return BackendRefused(self._sentence(self._http, what))

    def mismatch(self, what: str) -> CollectionMismatch:
        """That a collection is of another shape."""
        return CollectionMismatch(self._sentence(self._http, what))

    def not_found(self, name: str) -> CollectionNotFound:
        """That there is no such collection."""
        what = f"has no collection {name!r}. Run: manage.py update_vector_indexes"
        return CollectionNotFound(self._sentence(self._http, what))

    def unavailable(self, what: str) -> BackendUnavailable:
        """That the server may do it at another time."""
        return BackendUnavailable(self._sentence(self._http, what))

    def of_text(self, said: str) -> BackendError:
        """The error for what the server says over gRPC, or of a single record."""
        for meaning in _TEXTS:
            if meaning.pattern.search(said):
                return meaning.kind(self._sentence(self._grpc, meaning.what, said))
        return BackendRefused(self._sentence(self._grpc, "refuses the request", said))

    def of_rpc(self, error: Any) -> BackendError:
        """The error for one of gRPC."""
        from grpc import StatusCode

        code, said = error.code(), error.details() or ""
        kind: type[BackendError]
        if code == StatusCode.DEADLINE_EXCEEDED:
            kind, what = BackendUnavailable, self._too_slow
        elif code == StatusCode.UNAUTHENTICATED:
            kind, what = BackendRefused, _KEY
        elif code == StatusCode.PERMISSION_DENIED:
            kind, what = BackendRefused, _FORBIDDEN
        elif code == StatusCode.UNIMPLEMENTED:
            kind, what = BackendRefused, f"does not speak Weaviate's gRPC there. {_GRPC}"
        elif code == StatusCode.FAILED_PRECONDITION:
            kind, what = BackendRefused, "does not allow that"
        elif code == StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in said:
            kind, what = BackendUnavailable, _LIMITED
        elif code == StatusCode.UNAVAILABLE:
            kind, what = BackendUnavailable, _first(_TLS, said, f"cannot be reached. {_GRPC}")
        elif code in (StatusCode.ABORTED, StatusCode.CANCELLED, StatusCode.INTERNAL):
            kind, what = BackendUnavailable, "broke the call off. Try again later"
        else:
            return self._chained(self.of_text(said), error)
        return self._chained(kind(self._sentence(self._grpc, what, said)), error)

    def of_status(self, status: int, body: Any) -> BackendError:
        """The error for an answer over HTTP."""
        said = f"{status} {_message(body)}"
        kind: type[BackendError] = BackendRefused
        if status == 401:
            what = _KEY
        elif status == 403:
            what = _FORBIDDEN
        elif status == 429:
            kind, what = BackendUnavailable, _LIMITED
        elif status >= 500 or status == 408:
            full = _NO_ROOM.pattern.search(said)
            kind = BackendRefused if full else BackendUnavailable
            what = _FULL if full else "fails. Try again later"
        elif status == 404:
            what = "knows no such address. Is HOST that of a Weaviate server?"
        else:
            what = "refuses the request"
        return kind(self._sentence(self._http, what, said))

    def of_http(self, error: Exception) -> BackendError:
        """The error for one of the client's, or of the HTTP library that it uses."""
        import httpx
        from weaviate.exceptions import (
            InsufficientPermissionsError,
            ResponseCannotBeDecodedError,
            UnexpectedStatusCodeError,
            WeaviateTimeoutError,
        )

        if isinstance(error, (UnexpectedStatusCodeError, InsufficientPermissionsError)):
            return self._chained(self.of_status(error.status_code, error.error), error)
        if isinstance(error, ResponseCannotBeDecodedError):
            what = "does not answer as Weaviate does. Is HOST that of a Weaviate server?"
            return self._chained(self.refused(what), error)
        if isinstance(error, (WeaviateTimeoutError, httpx.TimeoutException)):
            return self._chained(self.unavailable(self._too_slow), error)
        said = [*filter(None, map(str, _causes(error)))]
        what = _first(_TLS, " ".join(said), "cannot be reached. Look at HOST, and whether it is up")
        # The client tells it again and again; the last of the causes is where it began.
        told = BackendUnavailable(self._sentence(self._http, what, said[-1] if said else ""))
        return self._chained(told, error)

    def of_connecting(self, error: Exception) -> BackendError:
        """The error for whatever keeps a client from being connected."""
        from weaviate.exceptions import WeaviateStartUpError

        if isinstance(error, WeaviateStartUpError) and "not supported" in str(error):
            return self._chained(self.refused(f"is too old for the client: {error}"), error)
        if isinstance(error, OSError) and error.filename:
            what = f"cannot be asked: {error.filename!r} cannot be read ({error.strerror})"
            return self.refused(f"{what}. Look at CA_CERTIFICATE and CLIENT_CERTIFICATE")
        if isinstance(error, ssl.SSLError) and not error.__cause__:
            what = "cannot be asked: a file of certificates cannot be used"
            return self.refused(f"{what}. Look at CA_CERTIFICATE and CLIENT_CERTIFICATE")
        return self.of_http(error)

    def too_old(self, version: str, oldest: tuple[int, int]) -> BackendRefused:
        """That the server lacks what filters need."""
        least = ".".join(map(str, oldest))
        return self.refused(f"is of version {version}. Upgrade it to {least} or later")

    @property
    def _too_slow(self) -> str:
        return (
            f"did not answer within {self._options.timeout:g} seconds. Is it up?"
            " Otherwise raise TIMEOUT or lower BATCH_SIZE"
        )

    def _sentence(self, where: str, what: str, said: str = "") -> str:
        """One line without secrets; a quote in it is cut only after they are gone."""
        end = "" if what.endswith(("?", ".")) else "."
        quote = " ".join(self._options.redact(said).split())
        if len(quote) > 2 * _LONGEST_QUOTE:
            quote = f"{quote[:_LONGEST_QUOTE]} … {quote[-_LONGEST_QUOTE:]}"
        told = f" It says: {quote}" if quote else ""
        return f"{where} {self._options.redact(what)}{end}{told}"

    def _chained(self, told: BackendError, error: Exception) -> BackendError:
        """With the cause, unless that tells a secret."""
        shown = [text for each in _causes(error) for text in (str(each), repr(each))]
        if all(self._options.redact(text) == text for text in shown):
            told.__cause__ = error
        return told


def _first(meanings: tuple[_Meaning, ...], said: str, otherwise: str) -> str:
    """What a text means, of some things that it could."""
    return next((each.what for each in meanings if each.pattern.search(said)), otherwise)


def _message(body: Any) -> str:
    """The server's own words, wherever it put them."""
    if isinstance(body, list):
        return " ".join(map(_message, body))
    if isinstance(body, dict):
        known = (body.get(key) for key in ("message", "error", "detail"))
        return next((_message(each) for each in known if each), "")
    text = str(body or "").strip()
    return "(an HTML page)" if text.startswith("<") else text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
