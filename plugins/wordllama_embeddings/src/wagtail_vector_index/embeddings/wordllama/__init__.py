"""Local embeddings: a small model that comes in a wheel, and needs no key and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import WordLlamaEmbeddings

__all__ = ["WordLlamaEmbeddings"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package with the plugin module, and must stay light.
    if name == "WordLlamaEmbeddings":
        from .backend import WordLlamaEmbeddings

        return WordLlamaEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
