"""Cuts texts to what a model reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

__all__ = ["longest_beginning"]


def longest_beginning(text: str, fits: Callable[[int], bool]) -> int:
    """Return the length of the longest beginning of a text that fits, 0 if none does.

    Args:
        text: the text.
        fits: whether its beginning of this length fits. If one does, all that are shorter do.

    Example::

        longest_beginning("naïve", lambda length: len("naïve"[:length].encode()) <= 3)  # 2
    """
    lengths = range(len(text) + 1)
    return max(bisect_left(lengths, 1, key=lambda length: int(not fits(length))) - 1, 0)
