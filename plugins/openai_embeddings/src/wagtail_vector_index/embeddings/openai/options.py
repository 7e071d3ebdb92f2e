"""The settings of the backends ``openai``: those of any service, and those of embeddings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from wagtail_vector_index.contract import Options, secret
from wagtail_vector_index.embeddings.base import EmbeddingBackend

OPENAI_HOST = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"

_EXAMPLE = "https://api.example.com/v1"


@dataclass(frozen=True, kw_only=True)
class ServiceOptions(Options):
    """The keys that say what to ask, and how; the same for every kind of backend."""

    model: str
    api_key: str = secret("")
    host: str = OPENAI_HOST
    timeout: float = 30.0
    max_retries: int = 2

    def __post_init__(self) -> None:
        _check_host(self.host)
        if self.host.rstrip("/") == OPENAI_HOST and not self.api_key:
            # For OpenAI alone: its key is nobody else's business.
            object.__setattr__(self, "api_key", os.environ.get(OPENAI_KEY_VARIABLE, ""))
        if not all("!" <= character <= "~" for character in self.api_key):
            raise ValueError("'API_KEY' has a space, a line break or another character no key has.")
        if not self.model:
            raise ValueError("'MODEL' is empty; it is the model's name, as the service knows it.")
        if not self.timeout > 0:
            raise ValueError(f"'TIMEOUT' is in seconds, and above 0, not {self.timeout}.")
        if self.max_retries < 0:
            raise ValueError(f"'MAX_RETRIES' must be at least 0, not {self.max_retries}.")

    def check_positive(self, *names: str) -> None:
        """Raise ValueError for the first of some fields that is set, and below 1."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name.upper()!r} must be at least 1, not {value}.")


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions(ServiceOptions, EmbeddingBackend.Options):
    """The keys of the embedding backend, with their defaults and what is wrong with them."""

    dimensions: int | None = None
    max_tokens: int | None = None
    batch_size: int = 256
    encoding_format: Literal["base64", "float"] = "base64"
    query_prefix: str = ""
    document_prefix: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("dimensions", "max_tokens", "batch_size")


def _check_host(host: str) -> None:
    # The URL is shown in errors and logs, here and by the client: no secrets in it.
    parts = urlsplit(host)
    if "@" in parts.netloc:
        raise ValueError("'HOST' must not hold a user or password; the key goes into 'API_KEY'.")
    if parts.query or parts.fragment:
        raise ValueError(f"'HOST' is a base URL such as {_EXAMPLE!r}, without '?' or '#'.")
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(host):
        raise ValueError(f"'HOST' is a base URL such as {_EXAMPLE!r}, not {host!r}.")


def _has_port(host: str) -> bool:
    try:
        return urlsplit(host).port != 0
    except ValueError:
        return False
