"""The form of a problem of an index, as commands and the admin show it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem of an index: a message that says what is wrong, and the remedy."""

    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"
