"""The Qdrant vector backend. Importing this package imports no client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import QdrantBackend

__all__ = ["QdrantBackend"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package with the plugin module, so the import must be cheap.
    if name == "QdrantBackend":
        from .backend import QdrantBackend

        return QdrantBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
