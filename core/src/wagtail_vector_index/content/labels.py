"""Finds the lines of a chunk that are labels, such as tags and authors, and no prose.

A label helps to find an object, so it is embedded. An excerpt leaves it out.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from .text import clean_text

__all__ = ["label_lines", "without_labels"]


def label_lines(text: str, labels: AbstractSet[str]) -> str:
    """Return the numbers of the lines of a text that are labels, in the form that is stored.

    Example::

        >>> label_lines("bread, rye", {"bread, rye"})
        '0'
    """
    if labels.isdisjoint(lines := text.split("\n")):
        return ""
    return ",".join(str(number) for number, line in enumerate(lines) if line and line in labels)


def without_labels(text: str, lines: str) -> str:
    """Return a text without the lines that `label_lines` found, or all of it if none remain."""
    if not lines:
        return text
    left_out = set(map(int, lines.split(",")))
    kept = (line for number, line in enumerate(text.split("\n")) if number not in left_out)
    return clean_text("\n".join(kept)) or text
