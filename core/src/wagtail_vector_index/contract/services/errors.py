"""The errors of a service: each a sentence that hides secrets and says what to do."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from uuid import UUID

from ...exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    VectorIndexError,
    WriteFailed,
)
from ...wording import sentence
from ..options import Options
from .requests import LateError

__all__ = ["ServiceErrors", "causes", "said_in", "unwritten"]

ErrorT = TypeVar("ErrorT", bound=BaseException)

#: The variables by which clients find the certificates of authorities.
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the error that caused it, and so on, each once."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def _without_status(quote: str) -> str:
    """Return a quote without the HTTP status at its beginning, which tells nothing of content."""
    return re.sub(r"^\d{3}(?: |$)", "", quote)


def said_in(body: Any) -> str:
    """Return a service's own words from its answer, wherever the service put them.

    Args:
        body: decoded JSON, or a text.
    """
    if isinstance(body, list):
        return " ".join(map(said_in, body))
    if isinstance(body, dict):
        known = (body.get(key) for key in ("message", "error", "detail", "status"))
        return next((said_in(each) for each in known if each), str(body or ""))
    text = str(body or "").strip()
    return "(an HTML page)" if text.startswith("<") else text


class WriteUnavailable(WriteFailed, BackendUnavailable):
    """Records were not written, because the service could not be reached in time."""


class WriteRefused(WriteFailed, BackendRefused):
    """Records were not written, because the service refused them."""


def unwritten(message: str, ids: Iterable[UUID], cause: BackendError | None) -> WriteFailed:
    """Return the error for records that were not written, of the same kind as its cause."""
    kind: type[WriteFailed] = WriteFailed
    if cause is not None:
        kind = WriteUnavailable if isinstance(cause, BackendUnavailable) else WriteRefused
    made = kind(message, ids)
    made.__cause__ = cause
    made.quotation = cause.quotation if cause is not None else None
    return made


class ServiceErrors(ABC):
    """Turns the errors of a client into errors of the contract.

    Args:
        where: names the backend and the service; every message begins with it.
        options: the options of the alias; every message hides their secrets.

    Example::

        class AcmeErrors(ServiceErrors):
            def explain(self, error, request):
                if isinstance(error, acme.ConnectError):
                    what = "cannot be reached. Check HOST"
                    return self.make(BackendUnavailable, what, str(error), cause=error)
                return error
    """

    #: The number of characters that a long quotation keeps of its beginning and of its end each.
    longest_quote = 300

    def __init__(self, where: str, options: Options) -> None:
        self.where = where
        self._options = options

    @abstractmethod
    def explain(self, error: Exception, request: Any) -> Exception:
        """Return the error to raise in place of an error that was caught.

        Return an error that is not the client's, such as a bug's TypeError, as it is.
        """

    def is_passing(self, error: BaseException, request: Any) -> bool:
        """Return whether the same request may succeed a moment later."""
        if not isinstance(error, Exception):
            return False
        return isinstance(self.explained(error, request), BackendUnavailable)

    def is_getting_ready(self, error: BaseException) -> bool:
        """Return whether the service is still getting ready for the request.

        If so, only the deadline ends the attempts, not their number.
        """
        return False

    def retry_after(self, error: BaseException) -> float | None:
        """Return how many seconds the service asks to wait, or None if it does not say."""
        return None

    def explained(self, error: Exception, request: Any) -> Exception:
        """Return the error to raise; an error of the contract needs no explanation."""
        if isinstance(error, VectorIndexError):
            return error
        explained = self.explain(error, request)
        if isinstance(explained, LateError):
            what = f"did not answer within {explained.seconds:g} seconds. Check whether it is up"
            if option := self.option_of(explained, request):
                what += f"; otherwise raise {option}"
            return self.make(BackendUnavailable, what)
        return explained

    def option_of(self, error: LateError, request: Any) -> str:
        """Return the option that limited an operation: ``TIMEOUT`` or ``WRITE_TIMEOUT``.

        Empty if the limit is another one, such as that of a measurement, which no option changes.
        """
        names = ["timeout", "write_timeout"]
        if getattr(request, "writes", False):
            names.reverse()  # the same number may be set for both
        given = (name for name in names if getattr(self._options, name, None) == error.seconds)
        return next(given, "").upper()

    def of_making(
        self, error: Exception, kind: type[VectorIndexError] = BackendRefused
    ) -> VectorIndexError:
        """Return the error to raise if a client cannot be made, for whatever reason.

        Args:
            error: what was raised instead.
            kind: the class of the error.
        """
        if isinstance(error, VectorIndexError):
            return self.make(kind, f"cannot be used: {error}", cause=error)
        problem = sentence(f"{type(error).__name__}: {self.quoted(str(error))}")
        what = f"cannot be used, because its client cannot be made: {problem}"
        named = [name for name in _CERTIFICATES if os.environ.get(name)]
        if named and isinstance(error, OSError):  # which errors of TLS are too
            what += f" Check the environment variable {' and '.join(named)}."
        return self.make(kind, what, cause=error)

    def make(
        self,
        kind: type[ErrorT],
        what: str,
        said: str = "",
        *,
        cause: BaseException | None = None,
        where: str = "",
    ) -> ErrorT:
        """Make an error of a kind, chained to its cause unless the cause shows a secret.

        The service's own words may repeat what was sent, so they are the error's ``quotation``.

        Args:
            kind: the class of the error.
            what: what is wrong, and what to do; the service's name stands before it.
            said: the service's own words, perhaps after the status of its answer.
            cause: the error of the client.
            where: names the service, instead of ``self.where``.
        """
        made = kind(self.sentence(what, said, where))
        if isinstance(made, VectorIndexError):
            made.quotation = _without_status(self.quoted(said))
        if cause is not None and not self._shows_secret(cause):
            made.__cause__ = cause
        return made

    def sentence(self, what: str, said: str = "", where: str = "") -> str:
        """Return a message without secrets, on one line."""
        text = sentence(" ".join(self._options.redact(what).split()))
        quote = self.quoted(said)
        return f"{where or self.where} {text}{f' It says: {sentence(quote)}' if quote else ''}"

    def quoted(self, text: str) -> str:
        """Return a quotation on one line; its secrets are hidden before it is shortened."""
        line = " ".join(self._options.redact(text).split())
        if len(line) <= 2 * self.longest_quote:
            return line
        return f"{line[: self.longest_quote]} … {line[-self.longest_quote :]}"

    def _shows_secret(self, error: BaseException) -> bool:
        """Return whether a report of an error and of its causes may show a secret."""
        shown = (f"{each} {each!r} {getattr(each, '__dict__', '')!r}" for each in causes(error))
        return any(self._options.redact(text) != text for text in shown)
