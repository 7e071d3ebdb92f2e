"""Local embeddings by ONNX models that run inside the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import FastEmbedBackend

__all__ = ["FastEmbedBackend"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package together with the plugin module, so imports must be cheap.
    if name == "FastEmbedBackend":
        from .backend import FastEmbedBackend

        return FastEmbedBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
