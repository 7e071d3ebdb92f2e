"""Reranking by any service with the common ``/rerank``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import ServiceReranker

__all__ = ["ServiceReranker"]


def __getattr__(name: str) -> Any:
    # Importing this package must not import the client.
    if name == "ServiceReranker":
        from .backend import ServiceReranker

        return ServiceReranker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
