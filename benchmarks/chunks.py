"""Chunks of real text, from the documentation and source comments on this machine.

Random vectors do not show the recall on real content. They are evenly spread, while the vectors
of texts are not: texts have subjects, repeated phrases and near duplicates. So this module reads
README files, guides, manual pages, and the docstrings and comments of Python and Go sources. It
cuts them into chunks of 40 words, without overlap and without duplicates.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

#: The folders to search; folders that do not exist are left out.
FOLDERS = (
    "/usr/share/doc",
    "/usr/share/man",
    sys.base_prefix,
    sys.prefix,
    "/usr/lib",
    "/usr/local",
    str(Path.home() / "go" / "pkg" / "mod"),
)
WORDS = 40

_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
_COMMENTS = re.compile(r"(?:^[ \t]*//[^\n]*\n)+", re.MULTILINE)
# Matches requests of man pages, comment signs, and underlines.
_MARKUP = re.compile(r"^[.'].*$|\\f.|\\[&|e]|//|[*_`=#|~^\\-]{2,}", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z]{2,}")


def chunks(count: int, folders: Sequence[str] = FOLDERS) -> Iterator[str]:
    """Yield at most ``count`` chunks, in the order of their files."""
    seen: set[int] = set()
    for path in _files(folders):
        words = " ".join(_MARKUP.sub(" ", prose) for prose in _prose(path)).split()
        for start in range(0, len(words) - WORDS // 2, WORDS):
            chunk = " ".join(words[start : start + WORDS])
            # Chunks that differ only in their figures count as duplicates.
            key = hash("".join(_WORD.findall(chunk)))
            if key not in seen and _is_readable(chunk):
                seen.add(key)
                yield chunk
                if len(seen) == count:
                    return


def _files(folders: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            inner.sort()
            yield from (Path(parent, name) for name in sorted(names))


def _prose(path: Path) -> Iterator[str]:
    """Yield the parts of a file that people are meant to read."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "py":
        yield from _DOCSTRING.findall(_text(path))
    elif kind == "go":
        yield from _COMMENTS.findall(_text(path))
    elif kind in ("rst", "md", "txt") or "man" in path.parts or path.name.startswith("README"):
        yield _text(path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="ignore")
    except (OSError, EOFError):
        return ""


def _is_readable(chunk: str) -> bool:
    """Return whether a chunk is mostly words, rather than a table, figures or code."""
    letters = sum(map(len, _WORD.findall(chunk)))
    return letters > 0.7 * len(chunk) and len(chunk) < 12 * WORDS
