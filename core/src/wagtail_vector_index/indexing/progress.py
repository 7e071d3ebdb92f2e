"""The progress of a long update."""

from __future__ import annotations


class Progress:
    """Receives the progress of an update and shows nothing. Subclasses can show it."""

    def started(self, index: str, doing: str, total: int) -> None:
        """Begin a stage of ``total`` objects; ``doing`` is "comparing" or "writing"."""

    def indexed(self, count: int) -> None:
        """Count ``count`` more objects as done."""

    def embedded(self, count: int) -> None:
        """Count ``count`` more texts as embedded."""

    def pushed(self, count: int) -> None:
        """Count ``count`` more documents as sent to a vector backend."""

    def finished(self) -> None:
        """End the current stage."""
