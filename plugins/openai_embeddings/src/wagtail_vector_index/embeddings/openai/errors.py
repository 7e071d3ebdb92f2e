"""From the client's errors to those of the contract: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.exceptions import EmbeddingError, EmbeddingRefused, EmbeddingUnavailable

from .options import OpenAIOptions

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError

_Explained = tuple[type[EmbeddingError], str]

# What a status means, and what to do about it. All other 4xx are refusals.
_REFUSED = {
    400: "refuses the request. Look at MODEL, DIMENSIONS and ENCODING_FORMAT, lower BATCH_SIZE,"
    " or set MAX_TOKENS to what the model reads",
    401: "does not accept the key. Set API_KEY",
    403: "forbids it. Is the key of API_KEY allowed to use this model, from here?",
    404: "knows no such model or address. Look at MODEL and HOST; most base URLs end with '/v1'",
    413: "finds the request too large. Lower BATCH_SIZE",
    422: "refuses the request. Look at MODEL and DIMENSIONS, or lower BATCH_SIZE",
}
_QUOTA = "has no quota left for this account. Look at its plan and billing; trying again won't help"
_LIMITED = "limits the rate. Try again later, or lower BATCH_SIZE"
_FAILED = "fails. Try again later"

_LONGEST_QUOTE = 300


def explain(error: Exception, where: str, options: OpenAIOptions) -> EmbeddingError:
    """The error to raise for one of the client's, with that as its cause if it tells no secret.

    Args:
        error: what the client raised.
        where: names alias, model and host.
        options: its secrets are made unreadable in what the service says.
    """
    import openai

    if isinstance(error, openai.APITimeoutError):
        kind, what = _timed_out(options)
    elif isinstance(error, openai.APIConnectionError):
        kind, what = _unreachable(error)
    elif isinstance(error, openai.APIStatusError):
        kind, what = _status(error)
    elif isinstance(error, UnicodeError):
        kind, what = EmbeddingRefused, f"takes texts that can be encoded as UTF-8: {error}"
    else:
        kind, what = EmbeddingRefused, f"cannot be asked: {error}"
    explained = kind(sentence(where, what, options.redact))
    if not any(options.redact(text) != text for text in _texts_of(error)):
        explained.__cause__ = error
    return explained


def sentence(where: str, what: str, redact: Callable[[str], str]) -> str:
    """One line without secrets; a quote in it is cut only after they are gone."""
    text = " ".join(redact(what).split())
    if len(text) > 2 * _LONGEST_QUOTE:
        text = f"{text[:_LONGEST_QUOTE]} … {text[-_LONGEST_QUOTE:]}"
    return f"{where} {text}" if text.endswith((".", "?", "!")) else f"{where} {text}."


def _timed_out(options: OpenAIOptions) -> _Explained:
    attempts = f", {options.max_retries + 1} times" if options.max_retries else ""
    what = f"did not answer within {options.timeout:g} seconds{attempts}."
    return EmbeddingUnavailable, f"{what} Is it up? Otherwise raise TIMEOUT or lower BATCH_SIZE."


def _unreachable(error: APIConnectionError) -> _Explained:
    cause = str(error.__cause__ or error)
    if "CERTIFICATE_VERIFY_FAILED" in cause or "certificate verify failed" in cause:
        advice = "Set the environment variable SSL_CERT_FILE to the authority that signed it."
        return EmbeddingUnavailable, f"has a certificate that is not trusted: {cause}. {advice}"
    return EmbeddingUnavailable, f"cannot be reached: {cause}. Look at HOST, and whether it is up."


def _status(error: APIStatusError) -> _Explained:
    status = error.status_code
    kind: type[EmbeddingError]
    if status == 429 and error.code == "insufficient_quota":
        kind, what = EmbeddingRefused, _QUOTA
    elif status == 429:
        kind, what = EmbeddingUnavailable, _LIMITED
    elif status >= 500 or status in (408, 409):
        kind, what = EmbeddingUnavailable, _FAILED
    else:
        kind, what = EmbeddingRefused, _REFUSED.get(status, "refuses the request")
    return kind, f"{what}. It says: {status} {_said(error.body)}"


def _said(body: Any) -> str:
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
