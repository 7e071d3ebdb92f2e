"""The NumPy vector backend. Importing this package does not import NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import NumpyBackend

__all__ = ["NumpyBackend"]


def __getattr__(name: str) -> Any:
    # Discovery imports this package together with the entry point's module. That must cost
    # nothing, so NumPy is only imported at the first use of the class.
    if name == "NumpyBackend":
        from .backend import NumpyBackend

        return NumpyBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
