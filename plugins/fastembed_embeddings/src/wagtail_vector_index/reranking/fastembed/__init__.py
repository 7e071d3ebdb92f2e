"""Local reranking by ONNX cross-encoders that run inside the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import FastEmbedReranker

__all__ = ["FastEmbedReranker"]


def __getattr__(name: str) -> Any:
    # Importing this package must not import the library.
    if name == "FastEmbedReranker":
        from .backend import FastEmbedReranker

        return FastEmbedReranker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
