"""The Weaviate vector backend. Importing this package imports no client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import WeaviateBackend

__all__ = ["WeaviateBackend"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package with the plugin module, and must stay light.
    if name == "WeaviateBackend":
        from .backend import WeaviateBackend

        return WeaviateBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
