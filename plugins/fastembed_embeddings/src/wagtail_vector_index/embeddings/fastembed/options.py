"""The settings of the backend ``fastembed``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from wagtail_vector_index.contract import check_absolute, check_ranges
from wagtail_vector_index.embeddings.base import EmbeddingBackend

__all__ = ["FastEmbedOptions", "default_cache_dir"]


@dataclass(frozen=True, kw_only=True)
class FastEmbedOptions(EmbeddingBackend.Options):
    """The keys next to ``BACKEND``; the README explains each."""

    model: str = ""
    model_path: str | Path = ""
    cache_dir: str | Path = ""
    pooling: Literal["mean", "cls", "last_token", "none"] | None = None
    normalize: bool = True
    model_file: str = "model.onnx"
    query_prefix: str | None = None
    document_prefix: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.model and not self.model_path:
            raise ValueError(
                "'MODEL' is missing. Set it to a name that fastembed knows, such as"
                " 'BAAI/bge-small-en-v1.5', or set 'MODEL_PATH' to the folder of a model."
            )
        if self.pooling and not self.model_path:
            raise ValueError("'POOLING' needs 'MODEL_PATH', the folder of the model.")
        if not self.model and not self.pooling:
            raise ValueError(
                "'POOLING' is missing. The model's description says how it pools the vectors of"
                " tokens. Or set 'MODEL' to the name by which fastembed knows this model."
            )
        if not self.pooling and (self.model_file != "model.onnx" or not self.normalize):
            raise ValueError("'MODEL_FILE' and 'NORMALIZE' need 'POOLING'.")
        check_ranges(self, {"threads": (1, inf)})
        check_absolute(self, "model_path", "cache_dir")

    @property
    def folder(self) -> Path:
        """The folder that contains the model, or the models that were downloaded."""
        return Path(self.model_path or self.cache_dir or default_cache_dir())


def default_cache_dir() -> Path:
    """Return the folder of downloaded models, unless ``CACHE_DIR`` names another.

    The library's own default is in the system's folder of temporary files, which is emptied.
    """
    given = os.environ.get("FASTEMBED_CACHE_PATH")
    return Path(given) if given else Path.home() / ".cache" / "fastembed"
