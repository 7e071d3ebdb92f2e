"""The progress of a long update."""

from __future__ import annotations


class Progress:
    """Hears how far an update has come, and shows nothing; a subclass shows what it likes."""

    def started(self, index: str, doing: str, total: int) -> None:
        """Hear that ``total`` objects are ahead: ``doing`` is "comparing" or "writing"."""

    def indexed(self, count: int) -> None:
        """Hear that ``count`` more objects are done."""

    def embedded(self, count: int) -> None:
        """Hear that ``count`` more texts were embedded."""

    def pushed(self, count: int) -> None:
        """Hear that ``count`` more documents were sent to a vector backend."""

    def finished(self) -> None:
        """Hear that all objects are done."""
