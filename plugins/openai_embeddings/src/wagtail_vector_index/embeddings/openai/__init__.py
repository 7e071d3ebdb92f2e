"""Embeddings from OpenAI, and from any service that speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import OpenAIEmbeddings

__all__ = ["OpenAIEmbeddings"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package with the plugin module, so the import must be cheap.
    if name == "OpenAIEmbeddings":
        from .backend import OpenAIEmbeddings

        return OpenAIEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
