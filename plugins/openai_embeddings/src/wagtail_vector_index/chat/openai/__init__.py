"""Answers from OpenAI, and from any service that speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import OpenAIChatBackend

__all__ = ["OpenAIChatBackend"]


def __getattr__(name: str) -> Any:
    # Importing this package must not import the client.
    if name == "OpenAIChatBackend":
        from .backend import OpenAIChatBackend

        return OpenAIChatBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
