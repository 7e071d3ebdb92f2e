"""The settings of the reranking backend ``fastembed``."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from wagtail_vector_index.contract import check_absolute, check_ranges
from wagtail_vector_index.embeddings.fastembed.options import default_cache_dir
from wagtail_vector_index.reranking.base import RerankingBackend

__all__ = ["FastEmbedRerankerOptions"]


@dataclass(frozen=True, kw_only=True)
class FastEmbedRerankerOptions(RerankingBackend.Options):
    """The keys next to ``BACKEND``; the README explains each."""

    model: str = ""
    model_path: str | Path = ""
    cache_dir: str | Path = ""
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError(
                "'MODEL' is missing. Set it to a cross-encoder that fastembed knows, such as"
                " 'Xenova/ms-marco-MiniLM-L-6-v2'."
            )
        check_ranges(self, {"threads": (1, inf)})
        check_absolute(self, "model_path", "cache_dir")

    @property
    def folder(self) -> Path:
        """The folder that contains the model, or the models that were downloaded."""
        return Path(self.model_path or self.cache_dir or default_cache_dir())
