"""From the client's errors to those of the contract: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.exceptions import EmbeddingRefused, EmbeddingUnavailable, VectorIndexError

from .options import ServiceOptions

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError

_Explained = tuple[type[VectorIndexError], str]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The errors of one kind of backend, and what to do about them.

    Args:
        unavailable: raised where trying again may help.
        refused: raised where it will not.
        statuses: what a status means, and what to do. All other 4xx are refusals.
        slow: what to do about a time-out.
        limited: what else to do about a limit of the rate than to try again later.
    """

    unavailable: type[VectorIndexError]
    refused: type[VectorIndexError]
    statuses: Mapping[int, str]
    slow: str
    limited: str


#: What a status means for every kind of backend.
COMMON_STATUSES = {
    401: "does not accept the key. Set API_KEY",
    403: "forbids it. Is the key of API_KEY allowed to use this model, from here?",
    404: "knows no such model or address. Look at MODEL and HOST; most base URLs end with '/v1'",
}

EMBEDDING_ADVICE = Advice(
    unavailable=EmbeddingUnavailable,
    refused=EmbeddingRefused,
    statuses={
        **COMMON_STATUSES,
        400: "refuses the request. Look at MODEL, DIMENSIONS and ENCODING_FORMAT, lower"
        " BATCH_SIZE, or set MAX_TOKENS to what the model reads",
        413: "finds the request too large. Lower BATCH_SIZE",
        422: "refuses the request. Look at MODEL and DIMENSIONS, or lower BATCH_SIZE",
    },
    slow="raise TIMEOUT or lower BATCH_SIZE",
    limited=", or lower BATCH_SIZE",
)

_QUOTA = "has no quota left for this account. Look at its plan and billing; trying again won't help"
_FAILED = "fails. Try again later"

_LONGEST_QUOTE = 300


def explain(
    error: Exception, where: str, options: ServiceOptions, advice: Advice
) -> VectorIndexError:
    """The error to raise for one of the client's, with that as its cause if it tells no secret.

    Args:
        error: what the client raised.
        where: names alias, model and host.
        options: its secrets are made unreadable in what the service says.
        advice: the errors of this kind of backend.
    """
    kind, what = _explained(error, options, advice)
    explained = kind(sentence(where, what, options.redact))
    if not any(options.redact(text) != text for text in _texts_of(error)):
        explained.__cause__ = error
    return explained


def _explained(error: Exception, options: ServiceOptions, advice: Advice) -> _Explained:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return advice.unavailable, _timed_out(options, advice)
    if isinstance(error, openai.APIConnectionError):
        return advice.unavailable, _unreachable(error)
    if isinstance(error, openai.APIStatusError):
        return _status(error, advice)
    if isinstance(error, UnicodeError):
        return advice.refused, f"takes texts that can be encoded as UTF-8: {error}"
    if type(error) is openai.APIError:
        # Told in the middle of a stream, whose status said that all was well.
        return advice.unavailable, f"{_FAILED}. It says: {said(error.body) or error}"
    if isinstance(error, openai.OpenAIError):
        return advice.refused, f"cannot be asked: {error}"
    return advice.unavailable, _broken_off(error, options, advice)


def sentence(where: str, what: str, redact: Callable[[str], str]) -> str:
    """One line without secrets; a quote in it is cut only after they are gone."""
    text = " ".join(redact(what).split())
    if len(text) > 2 * _LONGEST_QUOTE:
        text = f"{text[:_LONGEST_QUOTE]} … {text[-_LONGEST_QUOTE:]}"
    return f"{where} {text}" if text.endswith((".", "?", "!")) else f"{where} {text}."


def _timed_out(options: ServiceOptions, advice: Advice) -> str:
    # An answer that has begun is not asked for again, and the client does not say whether it had.
    attempts = f", tried up to {options.max_retries + 1} times" if options.max_retries else ""
    what = f"did not answer within {options.timeout:g} seconds{attempts}."
    return f"{what} Is it up? Otherwise {advice.slow}."


def _broken_off(error: Exception, options: ServiceOptions, advice: Advice) -> str:
    # While a stream is read, older clients let errors of their HTTP library through.
    if "Timeout" in type(error).__name__:
        return _timed_out(options, advice)
    return f"broke off: {type(error).__name__}: {error}. Try again later."


def _unreachable(error: APIConnectionError) -> str:
    cause = str(error.__cause__ or error)
    if "CERTIFICATE_VERIFY_FAILED" in cause or "certificate verify failed" in cause:
        advice = "Set the environment variable SSL_CERT_FILE to the authority that signed it."
        return f"has a certificate that is not trusted: {cause}. {advice}"
    return f"cannot be reached: {cause}. Look at HOST, and whether it is up."


def _status(error: APIStatusError, advice: Advice) -> _Explained:
    status = error.status_code
    if status == 429 and error.code == "insufficient_quota":
        kind, what = advice.refused, _QUOTA
    elif status == 429:
        kind, what = advice.unavailable, f"limits the rate. Try again later{advice.limited}"
    elif status >= 500 or status in (408, 409):
        kind, what = advice.unavailable, _FAILED
    else:
        kind, what = advice.refused, advice.statuses.get(status, "refuses the request")
    return kind, f"{what}. It says: {status} {said(error.body)}"


def said(body: Any) -> str:
    """The service's own words, wherever it put them."""
    while isinstance(body, dict):
        body = next((body[key] for key in ("message", "detail", "error") if body.get(key)), "")
    text = str(body or "").strip()
    return "(an HTML page)" if text.startswith("<") else text


def _texts_of(error: BaseException | None) -> Iterator[str]:
    """What an error report may show of an error and of those behind it."""
    while error is not None:
        yield str(error)
        yield repr(error)
        yield repr(getattr(error, "body", None))
        error = error.__cause__ or error.__context__
