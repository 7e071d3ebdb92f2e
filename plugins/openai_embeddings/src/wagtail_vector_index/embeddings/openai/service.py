"""The service that an alias names: its clients, its key, and its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.exceptions import VectorIndexError

from .errors import Advice, OpenAIErrors
from .options import OPENAI_HOST, OPENAI_KEY_VARIABLE, ServiceOptions

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_HOW_TO_SET_A_KEY = (
    f"Set API_KEY, or the environment variable {OPENAI_KEY_VARIABLE};"
    f" or HOST to the base URL of another service."
)


class Service:
    """A service for embeddings or chat.

    Args:
        name: the backend's name in errors: its kind and alias.
        options: the options of the alias.
        advice: the errors of this kind of backend.
    """

    def __init__(self, name: str, options: ServiceOptions, advice: Advice) -> None:
        self._name = name
        self._options = options
        self._errors = OpenAIErrors(
            f"{name} (model {options.model!r} at {options.host}):", options, advice
        )
        self._clients = Clients(self._client, self._async_client)

    def sync(self) -> OpenAI:
        """Return the client that threads share."""
        self._require_key()
        return self._clients.sync()

    async def of_loop(self) -> AsyncOpenAI:
        """Return the client of the running event loop."""
        self._require_key()
        return await self._clients.of_loop()

    def explain(self, error: Exception) -> VectorIndexError:
        """Return the error of the contract for a client's error."""
        return self._errors.explain(error)

    def message(self, what: str) -> str:
        """Return a message about the service, without secrets."""
        return self._errors.sentence(f"the service {self._errors.quoted(what)}")

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the alias names OpenAI without a key."""
        if self._has_key:
            return []
        return [
            checks.Warning(
                f"{self._name} has no key for OpenAI.",
                hint=_HOW_TO_SET_A_KEY,
                id="wagtail_vector_index_openai.W001",
            )
        ]

    def close(self) -> None:
        """Release the connections. The service can be used again afterwards."""
        self._clients.close()

    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(**self._arguments())

    def _async_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(**self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {
            "api_key": self._options.api_key or "none",  # the client requires a key
            "base_url": self._options.host,
            "timeout": self._options.timeout,
            "max_retries": self._options.max_retries,
        }

    @property
    def _has_key(self) -> bool:
        return bool(self._options.api_key) or self._options.host.rstrip("/") != OPENAI_HOST

    def _require_key(self) -> None:
        if not self._has_key:
            raise self._errors.make(
                self._errors.advice.refused, f"there is no key. {_HOW_TO_SET_A_KEY}"
            )
