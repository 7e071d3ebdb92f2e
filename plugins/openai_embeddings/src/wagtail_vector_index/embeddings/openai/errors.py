"""From the client's errors to those of the contract: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.contract.services import ServiceErrors, said_in
from wagtail_vector_index.exceptions import EmbeddingRefused, EmbeddingUnavailable, VectorIndexError

from .options import ServiceOptions

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError

#: The class of an error, what it says, and the service's own words.
_Explained = tuple[type[VectorIndexError], str, str]


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


class OpenAIErrors(ServiceErrors):
    """Explains what the client raises.

    Args:
        where: names alias, model and host.
        options: of the alias.
        advice: the errors of this kind of backend.
    """

    longest_quote = 250

    _options: ServiceOptions

    def __init__(self, where: str, options: ServiceOptions, advice: Advice) -> None:
        super().__init__(where, options)
        self.advice = advice

    def explain(self, error: Exception, request: Any = None) -> VectorIndexError:
        """Return the error to raise for one of the client's."""
        kind, what, said = self._explained(error)
        return self.make(kind, what, said, cause=error)

    def _explained(self, error: Exception) -> _Explained:
        import openai

        refused, unavailable = self.advice.refused, self.advice.unavailable
        if isinstance(error, openai.APITimeoutError):
            return unavailable, self._timed_out, ""
        if isinstance(error, openai.APIConnectionError):
            return unavailable, self._unreachable(error), ""
        if isinstance(error, openai.APIStatusError):
            return self._status(error)
        if isinstance(error, UnicodeError):
            return (
                refused,
                f"takes texts that can be encoded as UTF-8: {self.quoted(str(error))}",
                "",
            )
        if type(error) is openai.APIError:
            # Told in the middle of a stream, whose status said that all was well.
            return unavailable, _FAILED, said_in(error.body) or str(error)
        if isinstance(error, openai.OpenAIError):
            return refused, f"cannot be asked: {self.quoted(str(error))}", ""
        # While a stream is read, older clients let errors of their HTTP library through.
        if "Timeout" in type(error).__name__:
            return unavailable, self._timed_out, ""
        broken = f"{type(error).__name__}: {self.quoted(str(error))}"
        return unavailable, f"broke off: {broken}. Try again later.", ""

    @property
    def _timed_out(self) -> str:
        # An answer that has begun is not asked for again, and the client does not say whether
        # it had.
        retries, seconds = self._options.max_retries, self._options.timeout
        attempts = f", tried up to {retries + 1} times" if retries else ""
        what = f"did not answer within {seconds:g} seconds{attempts}."
        return f"{what} Is it up? Otherwise {self.advice.slow}."

    def _unreachable(self, error: APIConnectionError) -> str:
        cause = self.quoted(str(error.__cause__ or error))
        if "CERTIFICATE_VERIFY_FAILED" in cause or "certificate verify failed" in cause:
            advice = "Set the environment variable SSL_CERT_FILE to the authority that signed it."
            return f"has a certificate that is not trusted: {cause}. {advice}"
        return f"cannot be reached: {cause}. Look at HOST, and whether it is up."

    def _status(self, error: APIStatusError) -> _Explained:
        status, advice = error.status_code, self.advice
        if status == 429 and error.code == "insufficient_quota":
            kind, what = advice.refused, _QUOTA
        elif status == 429:
            kind, what = advice.unavailable, f"limits the rate. Try again later{advice.limited}"
        elif status >= 500 or status in (408, 409):
            kind, what = advice.unavailable, _FAILED
        else:
            kind, what = advice.refused, advice.statuses.get(status, "refuses the request")
        return kind, what, f"{status} {said_in(error.body)}"
