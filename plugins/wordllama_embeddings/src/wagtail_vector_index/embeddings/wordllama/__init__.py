"""Local embeddings by a small model from a wheel, without a key or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import WordLlamaEmbeddings

__all__ = ["WordLlamaEmbeddings"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package together with the plugin module, so imports must be cheap.
    if name == "WordLlamaEmbeddings":
        from .backend import WordLlamaEmbeddings

        return WordLlamaEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
