"""The NumPy vector backend. Importing this package does not import NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import NumpyBackend

__all__ = ["NumpyBackend"]


def __getattr__(name: str) -> Any:
    # The parent package of an entry point is imported with it: discovering the plugin
    # must cost nothing, so NumPy comes with the first use of the class.
    if name == "NumpyBackend":
        from .backend import NumpyBackend

        return NumpyBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
