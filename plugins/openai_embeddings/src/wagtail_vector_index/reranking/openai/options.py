"""The settings of the reranking backend ``openai``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from wagtail_vector_index.embeddings.openai.options import ServiceOptions
from wagtail_vector_index.reranking.base import RerankingBackend


@dataclass(frozen=True, kw_only=True)
class RerankingOptions(ServiceOptions, RerankingBackend.Options):
    """The keys of the reranking backend, with their defaults and checks."""

    #: Required, because OpenAI has no reranking.
    host: str = dataclasses.field()
    timeout: float = 5.0
    protocol: Literal["cohere", "tei"] = "cohere"
