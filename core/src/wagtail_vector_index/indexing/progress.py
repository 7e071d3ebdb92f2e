"""What a long update tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told what an update does; the command shows it."""

    def started(self, index: str, doing: str, total: int) -> None:
        """So many objects are to be done: ``doing`` is "comparing" or "writing"."""

    def indexed(self, count: int) -> None:
        """So many more objects are done."""

    def embedded(self, count: int) -> None:
        """So many more texts were embedded."""

    def pushed(self, count: int) -> None:
        """So many more documents were sent to a vector backend."""

    def finished(self) -> None:
        """The objects are done."""


class Silent:
    """Shows nothing."""

    def started(self, index: str, doing: str, total: int) -> None:
        """Nothing."""

    def indexed(self, count: int) -> None:
        """Nothing."""

    def embedded(self, count: int) -> None:
        """Nothing."""

    def pushed(self, count: int) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""
