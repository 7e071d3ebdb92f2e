"""A service that an alias names: its clients, its key, and how its errors are told."""

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
    """What a backend asks, whatever it asks for.

    Args:
        name: what errors call the backend: its kind and alias.
        options: of the alias.
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
        """The client that threads share."""
        self._require_key()
        return self._clients.sync()

    async def of_loop(self) -> AsyncOpenAI:
        """The client of the running event loop."""
        self._require_key()
        return await self._clients.of_loop()

    def explain(self, error: Exception) -> VectorIndexError:
        """The error to raise for one of the client's."""
        return self._errors.explain(error)

    def message(self, what: str) -> str:
        """A message about what the service did, without secrets."""
        return self._errors.sentence(f"the service {self._errors.quoted(what)}")

    def check(self) -> list[checks.CheckMessage]:
        """Warns where OpenAI is to be asked without a key."""
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
        """Give back connections. The service can be asked again afterwards."""
        self._clients.close()

    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(**self._arguments())

    def _async_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(**self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {
            "api_key": self._options.api_key or "none",  # the client insists on one
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
