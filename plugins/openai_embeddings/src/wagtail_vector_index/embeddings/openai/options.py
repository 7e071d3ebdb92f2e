"""The settings of the backends ``openai``: for any service, and for embeddings."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from wagtail_vector_index.contract import (
    MAX_TIMEOUT,
    Options,
    check_api_key,
    check_headers,
    check_host,
    check_ranges,
    secret,
)
from wagtail_vector_index.embeddings.base import EmbeddingBackend

OPENAI_HOST = "https://api.openai.com/v1"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"

#: The ends of the names of OpenAI's and Azure's hosts.
_HOSTS_OF_OPENAI_MODELS = (".openai.com", ".azure.com", ".azure.us", ".azure.cn")

_EXAMPLE = "https://api.example.com/v1"
_API_VERSION = re.compile(r"[A-Za-z0-9.-]*", re.ASCII)
_DEPLOYMENT = re.compile(r"[A-Za-z0-9._-]*", re.ASCII)

#: The parts of a request that have an option of their own, or none because they are the texts.
_OWN_KEYS = ("input", "model", "dimensions", "encoding_format")


@dataclass(frozen=True, kw_only=True)
class ServiceOptions(Options):
    """The keys of the service, which are the same for every kind of backend."""

    model: str
    api_key: str = secret("")
    host: str = OPENAI_HOST
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, metadata={"secret": True})
    api_version: str = ""
    deployment: str = ""
    timeout: float = 30.0
    max_retries: int = 2

    def __post_init__(self) -> None:
        check_host(self.host, _EXAMPLE)
        check_headers(self.headers)
        if self.is_openai and not self.api_key and environment_is_of_openai():
            # Only for OpenAI: no other service may see its key.
            object.__setattr__(self, "api_key", os.environ.get(OPENAI_KEY_VARIABLE, ""))
        check_api_key(self.api_key)
        if not self.model:
            raise ValueError("'MODEL' is empty. Set it to the service's name for the model.")
        self._check_azure()
        check_ranges(self, {"timeout": (0.001, MAX_TIMEOUT), "max_retries": (0, inf)})

    @property
    def is_openai(self) -> bool:
        """True if the service is OpenAI's own."""
        return _is_of_openai(self.host)

    @property
    def has_openai_models(self) -> bool:
        """True if models have the names that OpenAI gave them: at OpenAI itself, or at Azure.

        Another service may call any model "text-embedding-ada-002" or "gpt-4o", as LocalAI does.
        """
        name = check_host(self.host, _EXAMPLE).hostname or ""
        return bool(self.api_version) or f".{name}".endswith(_HOSTS_OF_OPENAI_MODELS)

    @property
    def base_url(self) -> str:
        """``HOST``, with the path to Azure's deployment if ``API_VERSION`` is set without one."""
        host = self.host.rstrip("/")
        if not self.api_version or not self._is_bare:
            return host
        return f"{host.removesuffix('/openai')}/openai/deployments/{self.deployment or self.model}"

    @property
    def _is_bare(self) -> bool:
        return check_host(self.host, _EXAMPLE).path.strip("/") in ("", "openai")

    def _check_azure(self) -> None:
        if not _API_VERSION.fullmatch(self.api_version):
            raise ValueError(f"'API_VERSION' is such as '2024-10-21', not {self.api_version!r}.")
        if not _DEPLOYMENT.fullmatch(self.deployment):
            raise ValueError(
                f"'DEPLOYMENT' must be letters, digits, '-', '_' and '.', not {self.deployment!r}."
            )
        if self.deployment and not (self.api_version and self._is_bare):
            raise ValueError(
                "'DEPLOYMENT' needs 'API_VERSION', and a 'HOST' without a path, such as"
                " 'https://NAME.openai.azure.com'. With a 'HOST' that ends with '/openai/v1', set"
                " 'MODEL' to the name of the deployment instead."
            )


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions(ServiceOptions, EmbeddingBackend.Options):
    """The keys of the embedding backend, with their defaults and checks."""

    query_timeout: float = 10.0
    dimensions: int | None = None
    max_tokens: int | None = None
    batch_size: int = 256
    concurrency: int = 4
    encoding_format: Literal["base64", "float"] = "base64"
    query_prefix: str = ""
    document_prefix: str = ""
    query_body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    document_body: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, {"query_timeout": (0.001, MAX_TIMEOUT)})
        counts = ("dimensions", "max_tokens", "batch_size", "concurrency")
        check_ranges(self, dict.fromkeys(counts, (1, inf)))
        _check_body("QUERY_BODY", self.query_body)
        _check_body("DOCUMENT_BODY", self.document_body)


def environment_is_of_openai() -> bool:
    """Return whether the variables ``OPENAI_…`` of the environment are those for OpenAI itself."""
    return _is_of_openai(os.environ.get("OPENAI_BASE_URL") or OPENAI_HOST)


def _is_of_openai(url: str) -> bool:
    return url.rstrip("/") == OPENAI_HOST


def _check_body(option: str, body: Mapping[str, Any]) -> None:
    if own := sorted(set(body) & set(_OWN_KEYS)):
        raise ValueError(
            f"{option!r} must not hold {own[0]!r}."
            " MODEL, DIMENSIONS and ENCODING_FORMAT are options of their own."
        )
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"{option!r} must hold only values that JSON has.") from None
