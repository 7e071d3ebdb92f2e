"""The result of a health check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Health"]


@dataclass(frozen=True, kw_only=True)
class Health:
    """The result of a health check: whether a backend works right now.

    Args:
        ok: whether the backend can be used.
        message: one line for the operator.
        details: further facts by name, such as the server's version.
    """

    ok: bool
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
