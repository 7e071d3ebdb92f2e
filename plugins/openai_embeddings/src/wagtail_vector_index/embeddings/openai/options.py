"""The settings of the backends ``openai``: for any service, and for embeddings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import inf
from typing import Literal

from wagtail_vector_index.contract import (
    Options,
    check_api_key,
    check_host,
    check_ranges,
    secret,
)
from wagtail_vector_index.embeddings.base import EmbeddingBackend

OPENAI_HOST = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"

_EXAMPLE = "https://api.example.com/v1"


@dataclass(frozen=True, kw_only=True)
class ServiceOptions(Options):
    """The keys of the service, which are the same for every kind of backend."""

    model: str
    api_key: str = secret("")
    host: str = OPENAI_HOST
    timeout: float = 30.0
    max_retries: int = 2

    def __post_init__(self) -> None:
        check_host(self.host, _EXAMPLE)
        if self.host.rstrip("/") == OPENAI_HOST and not self.api_key:
            # Only for OpenAI: no other service may see its key.
            object.__setattr__(self, "api_key", os.environ.get(OPENAI_KEY_VARIABLE, ""))
        check_api_key(self.api_key)
        if not self.model:
            raise ValueError("'MODEL' is empty. Set it to the service's name for the model.")
        check_ranges(self, {"timeout": (0.001, inf), "max_retries": (0, inf)})


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions(ServiceOptions, EmbeddingBackend.Options):
    """The keys of the embedding backend, with their defaults and checks."""

    dimensions: int | None = None
    max_tokens: int | None = None
    batch_size: int = 256
    encoding_format: Literal["base64", "float"] = "base64"
    query_prefix: str = ""
    document_prefix: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, dict.fromkeys(("dimensions", "max_tokens", "batch_size"), (1, inf)))
