"""Turns the client's errors into errors of the contract, which say what to do."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.contract.services import (
    ServiceErrors,
    causes,
    proxy_of,
    said_in,
    without_credentials,
)
from wagtail_vector_index.exceptions import EmbeddingRefused, EmbeddingUnavailable, VectorIndexError

from .connecting import Redirected
from .options import ServiceOptions

if TYPE_CHECKING:
    from openai import APIConnectionError, APIError, APIStatusError

#: The class of an error, its text, and the service's own words.
_Explained = tuple[type[VectorIndexError], str, str]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The errors of one kind of backend, and what to do about them.

    Args:
        unavailable: the class of errors for which trying again may help.
        refused: the class of errors for which trying again does not help.
        statuses: the meaning of each HTTP status, with advice. All other 4xx are refusals.
        slow: the advice about a time-out.
        late: the advice about a query that took all its time, if it is another.
        limited: the advice about a rate limit, besides trying again later.
    """

    unavailable: type[VectorIndexError]
    refused: type[VectorIndexError]
    statuses: Mapping[int, str]
    slow: str
    limited: str
    late: str = ""


_QUOTA = (
    "has no quota left for this account. Check its plan and billing; trying again does not help"
)
_FAILED = "fails. Try again later"
_REPORTED = "reports an error. Try again later; if that does not help, check HOST and MODEL"

#: The meaning of an HTTP status for every kind of backend.
COMMON_STATUSES = {
    401: "does not accept the key. Set API_KEY",
    402: _QUOTA,
    403: "forbids the request. Check whether API_KEY is allowed to use this model, from here",
    404: "has no such model or address. Check MODEL and HOST; most base URLs end with '/v1'",
}

EMBEDDING_ADVICE = Advice(
    unavailable=EmbeddingUnavailable,
    refused=EmbeddingRefused,
    statuses={
        **COMMON_STATUSES,
        400: "refuses the request. Check MODEL, DIMENSIONS and ENCODING_FORMAT, lower"
        " BATCH_SIZE, or set MAX_TOKENS to what the model reads",
        413: "refuses the request as too large. Lower BATCH_SIZE",
        422: "refuses the request. Check MODEL and DIMENSIONS, or lower BATCH_SIZE",
    },
    slow="raise TIMEOUT or lower BATCH_SIZE",
    limited=", or lower BATCH_SIZE",
    late="raise QUERY_TIMEOUT",
)

#: The keys of an answer that hold what was asked for, by kind of backend and service.
_DATA = ("data", "results", "choices")

_NO_QUOTA = "insufficient_quota"

#: The statuses of a service that asks its clients to come less often.
_LIMITED = (429, 529)


class OpenAIErrors(ServiceErrors):
    """Explains the errors that the client raises.

    Args:
        where: names the alias, the model and the host.
        options: the options of the alias.
        advice: the errors of this kind of backend.
    """

    longest_quote = 250

    _options: ServiceOptions

    def __init__(self, where: str, options: ServiceOptions, advice: Advice) -> None:
        super().__init__(where, options)
        self.advice = advice

    def explain(self, error: Exception, request: Any = None) -> VectorIndexError:
        """Return the error of the contract for a client's error.

        Args:
            error: the client's error.
            request: the total seconds that the request may take, or None.
        """
        kind, what, said = self._explained(error, request)
        for each in causes(error):
            # Reports show the variables of the client's frames, and so the headers it sent.
            each.__traceback__ = None
        made = self.make(kind, what, said, cause=error)
        if isinstance(made, EmbeddingUnavailable):
            made.limits_rate = _status_of(error) in _LIMITED
        return made

    def is_passing(self, error: BaseException, request: Any) -> bool:
        """Return whether the same request may succeed a moment later."""
        from openai import OpenAIError

        if not isinstance(error, (OpenAIError, TimeoutError)):
            return False
        return issubclass(self._explained(error, request)[0], self.advice.unavailable)

    def _explained(self, error: Exception, total: float | None) -> _Explained:
        import openai

        refused, unavailable = self.advice.refused, self.advice.unavailable
        if found := next((each for each in causes(error) if isinstance(each, Redirected)), None):
            return refused, f"redirects to {self.quoted(found.where)}{found.advice}", ""
        if isinstance(error, (openai.APITimeoutError, TimeoutError)):
            return unavailable, self._timed_out(total), ""
        if isinstance(error, openai.APIConnectionError):
            return unavailable, self._unreachable(error), ""
        # Inside a stream, after the status 200, the client raises an `APIError` of no subclass.
        if isinstance(error, openai.APIStatusError) or type(error) is openai.APIError:
            return self._status(error)
        if isinstance(error, UnicodeError):
            return (
                refused,
                f"takes only texts that can be encoded as UTF-8: {self.quoted(str(error))}",
                "",
            )
        if isinstance(error, openai.OpenAIError):
            return refused, f"cannot be used: {self.quoted(str(error))}", ""
        # Older clients let errors of their HTTP library through while a stream is read.
        if "Timeout" in type(error).__name__:
            return unavailable, self._timed_out(None), ""
        broken = f"{type(error).__name__}: {self.quoted(str(error))}"
        return unavailable, f"broke off: {broken}. Try again later.", ""

    def _timed_out(self, total: float | None) -> str:
        # "Up to", because the client does not repeat a request whose answer has begun, and does
        # not say whether it had.
        retries, seconds = self._options.max_retries, self._options.timeout
        if total is not None and total <= seconds * (retries + 1):
            what = f"did not answer within {total:g} seconds."
            advice = self.advice.late or self.advice.slow
            return f"{what} Check whether it is up; otherwise {advice}."
        attempts = f", tried up to {retries + 1} times" if retries else ""
        what = f"did not answer within {seconds:g} seconds{attempts}."
        return f"{what} Check whether it is up; otherwise {self.advice.slow}."

    def _unreachable(self, error: APIConnectionError) -> str:
        cause = self.quoted(str(error.__cause__ or error))
        if "CERTIFICATE_VERIFY_FAILED" in cause or "certificate verify failed" in cause:
            advice = "Set the environment variable SSL_CERT_FILE to the authority that signed it."
            return f"has a certificate that is not trusted: {cause}. {advice}"
        if proxy := without_credentials(proxy_of(self._options.base_url)):
            return (
                f"cannot be reached through the proxy {proxy}: {cause}. Check HOST, whether it is"
                " up, and the environment variables of the proxy. If this host needs none, add it"
                " to no_proxy."
            )
        return f"cannot be reached: {cause}. Check HOST, and whether it is up."

    def _status(self, error: APIError) -> _Explained:
        status, advice = _status_of(error), self.advice
        said = said_in(error.body)
        if (status < 400 or status in _LIMITED) and _is_of_quota(error, said):
            kind, what = advice.refused, _QUOTA
        elif status < 400:
            return advice.unavailable, _REPORTED, said or str(error)
        elif status in _LIMITED:
            kind, what = advice.unavailable, f"limits the rate. Try again later{advice.limited}"
        elif status >= 500 or status in (408, 409):
            kind, what = advice.unavailable, _FAILED
        else:
            kind, what = advice.refused, advice.statuses.get(status, "refuses the request")
        return kind, what, f"{status} {said}" if status >= 400 else said


def error_in(response: Any) -> APIStatusError | None:
    """Return the error that an answer reports although its status is 200, as some gateways do.

    Args:
        response: the answer of the HTTP library, which has been read.
    """
    import openai

    if b'"error"' not in response.content:  # a quick look: vectors are megabytes of JSON
        return None
    try:
        answer = json.loads(response.content)
    except ValueError:
        return None
    if not isinstance(answer, dict) or any(answer.get(key) for key in _DATA):
        return None
    if not (error := answer.get("error")):
        return None
    body = error if isinstance(error, dict) else answer
    return openai.APIStatusError(said_in(body), response=response, body=body)


def _is_of_quota(error: APIError, said: str) -> bool:
    """Return whether an account has nothing left; services say so in different places."""
    return any(_NO_QUOTA in str(each) for each in (error.code, error.type, said))


def _status_of(error: Any) -> int:
    """Return the HTTP status of a client's error; after the status 200, the one it has as code."""
    status: int = getattr(error, "status_code", 200)
    if status < 400 and re.fullmatch(r"[45]\d\d", code := str(getattr(error, "code", None))):
        return int(code)
    return status


def retry_after(error: Exception) -> float | None:
    """Return how many seconds the service asks to wait, or None if it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, unit in (("retry-after-ms", 1_000), ("retry-after", 1)):
        seconds = _number(headers.get(name, "")) / unit
        if 0 <= seconds < math.inf:
            return seconds
    date = parsedate_tz(headers.get("retry-after", ""))
    try:
        return None if date is None else max(0.0, mktime_tz(date) - time.time())
    except (OverflowError, ValueError):  # the year is too large
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
