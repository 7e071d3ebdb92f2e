"""Passages of real text: the documentation and the comments that a machine holds.

Random vectors tell nothing of recall. They lie apart evenly, and those of texts don't: there
are subjects, phrases that come again and again, and nearly the same text twice. So this reads
README files, guides, manual pages, and the docstrings and comments of Python and Go sources,
and cuts them into passages of 40 words. None shares words with the next, and none comes twice.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Where to look; folders that don't exist are left out.
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
# Requests of man pages, signs of comments, and underlines.
_MARKUP = re.compile(r"^[.'].*$|\\f.|\\[&|e]|//|[*_`=#|~^\\-]{2,}", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z]{2,}")


def passages(count: int, folders: Sequence[str] = FOLDERS) -> Iterator[str]:
    """At most ``count`` passages, in the order of their files."""
    seen: set[int] = set()
    for path in _files(folders):
        words = " ".join(_MARKUP.sub(" ", prose) for prose in _prose(path)).split()
        for start in range(0, len(words) - WORDS // 2, WORDS):
            passage = " ".join(words[start : start + WORDS])
            # What differs in its figures only is the same passage.
            key = hash("".join(_WORD.findall(passage)))
            if key not in seen and _is_readable(passage):
                seen.add(key)
                yield passage
                if len(seen) == count:
                    return


def _files(folders: Sequence[str]) -> Iterator[Path]:
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            inner.sort()
            yield from (Path(parent, name) for name in sorted(names))


def _prose(path: Path) -> Iterator[str]:
    """What in a file is meant for people to read."""
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


def _is_readable(passage: str) -> bool:
    """Whether most of it is words: no table, no figures, no code."""
    letters = sum(map(len, _WORD.findall(passage)))
    return letters > 0.7 * len(passage) and len(passage) < 12 * WORDS
