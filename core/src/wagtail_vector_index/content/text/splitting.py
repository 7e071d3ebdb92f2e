"""Splitting text into chunks that an embedding model can take, where a reader would pause."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from typing import ClassVar

from semantic_text_splitter import TextSplitter as PauseSplitter

__all__ = ["TextSplitter", "split_text"]

# Pieces whose tokens are counted once: a sentence or a line, or some twenty words of a long one.
# Chunks mostly end where such a piece ends, which makes their estimated sizes exact.
_PIECE = re.compile(
    r"\s*\S(?:[^\n]{0,118}?(?:[.!?\u3002\uff01\uff1f](?=\s)|(?=\n)|\Z)|[^\n]{0,118}\S{0,200})"
)
# Fewer characters than this for each token in a chunk: the text may well fit as a whole.
_CHARACTERS_PER_TOKEN = 4
# How many pieces are counted a second time, together.
_SAMPLE = 32
# Longer lines, such as an encoded file, are cut first: the splitter takes ten times as long for
# each character of a line that is ten times as long. Nobody writes a paragraph of that length.
_LONGEST_LINE = 30_000
# How many characters before its last find an estimate looks: chunks overlap.
_LOOK_BACK = 30_000


class TextSplitter:
    """Splits text into chunks that an embedding model can take.

    An index names the class that splits its texts in ``text_splitter``. This one splits at
    paragraphs and sentences; a subclass overrides `split`, and gives itself a `name`.

    Args:
        count_tokens: returns how many of the embedding model's tokens a text has.
        chunk_tokens: the longest chunk, in tokens.
        overlap: how many tokens a chunk repeats of the chunk before it.

    Example::

        class LineSplitter(TextSplitter):
            name = "lines"

            def split(self, text):
                return [line for line in text.splitlines() if line.strip()]
    """

    #: Is stored with what was split. An index is built again when the name changes.
    name: ClassVar[str] = ""

    def __init__(
        self, *, count_tokens: Callable[[str], int], chunk_tokens: int, overlap: int = 0
    ) -> None:
        self.count_tokens = count_tokens
        self.chunk_tokens = chunk_tokens
        self.overlap = overlap

    def split(self, text: str) -> list[str]:
        """Return the chunks of a clean text, in order."""
        return split_text(
            text,
            count_tokens=self.count_tokens,
            chunk_tokens=self.chunk_tokens,
            overlap=self.overlap,
        )


def split_text(
    text: str,
    *,
    count_tokens: Callable[[str], int],
    chunk_tokens: int,
    overlap: int = 0,
) -> list[str]:
    """Split text into chunks of at most ``chunk_tokens`` tokens, at paragraphs or sentences.

    A text that fits is one chunk, a blank one none. Chunks have no white space at either end;
    with ``overlap``, a chunk begins with at most so many tokens of the one before. What fits
    nowhere as a whole is split at words, then within them: only a single character can ever
    exceed the limit, where the model makes several tokens of it.

    ``count_tokens`` gets clean text (see ``clean_text``), in all about two and a half times its
    length. What it raises is raised here. Sizes that make no sense are a ``ValueError``.
    """
    _check_sizes(chunk_tokens, overlap)
    text = text.strip()
    if not text:
        return []
    if len(text) <= _CHARACTERS_PER_TOKEN * chunk_tokens and count_tokens(text) <= chunk_tokens:
        return [text]
    sections = list(_sections(text))
    if len(sections) > 1:
        sizes = {"chunk_tokens": chunk_tokens, "overlap": overlap}
        chunks = (split_text(part, count_tokens=count_tokens, **sizes) for part in sections)
        return list(chain.from_iterable(chunks))
    estimate = _Estimate(text, count_tokens)
    if estimate.total <= chunk_tokens and count_tokens(text) <= chunk_tokens:
        return [text]
    splitter = PauseSplitter.from_callback(estimate, chunk_tokens, overlap=overlap)
    return [
        part
        for chunk in splitter.chunks(text)
        for part in _fitting(chunk, count_tokens, chunk_tokens, overlap)
    ]


def _check_sizes(chunk_tokens: int, overlap: int) -> None:
    if chunk_tokens < 1:
        raise ValueError(f"chunk_tokens is {chunk_tokens}: a chunk needs at least one token.")
    if not 0 <= overlap < chunk_tokens:
        raise ValueError(
            f"overlap is {overlap}: it must be at least 0 and below chunk_tokens ({chunk_tokens})."
        )


def _sections(text: str) -> Iterator[str]:
    """The text, cut within lines that are too long, at a space where there is one."""
    start = begin = 0
    for line in text.split("\n"):
        end = begin + len(line)
        while end - begin > _LONGEST_LINE:
            space = text.rfind(" ", begin + 1, begin + _LONGEST_LINE)
            begin = begin + _LONGEST_LINE if space < 0 else space
            yield text[start:begin]
            start = begin
        begin = end + 1
    yield text[start:]


def _fitting(
    chunk: str, count_tokens: Callable[[str], int], chunk_tokens: int, overlap: int
) -> Iterator[str]:
    """The chunk, if it has no more tokens than allowed, otherwise smaller ones."""
    chunk = chunk.strip()  # the splitter leaves some control characters that count as space
    if not chunk:
        return
    if len(chunk) == 1 or count_tokens(chunk) <= chunk_tokens:
        yield chunk
        return
    splitter = PauseSplitter.from_callback(count_tokens, chunk_tokens, overlap=overlap)
    for part in splitter.chunks(chunk):
        yield from _halved(part, count_tokens, chunk_tokens)


def _halved(part: str, count_tokens: Callable[[str], int], chunk_tokens: int) -> Iterator[str]:
    """Force a part down to its limit, for counts that grow when text gets shorter."""
    part = part.strip()
    if len(part) > 1 and count_tokens(part) > chunk_tokens:
        middle = len(part) // 2
        yield from _halved(part[:middle], count_tokens, chunk_tokens)
        yield from _halved(part[middle:], count_tokens, chunk_tokens)
    elif part:
        yield part


class _Estimate:
    """How many tokens a part of the text has, from counting each of its pieces once.

    The splitter asks for the size of ever new parts, ten times the text in all. A tokenizer is
    slower than the embedding model behind it if it really has to read all that.
    """

    def __init__(self, text: str, count_tokens: Callable[[str], int]) -> None:
        self.text = text
        self.count_tokens = count_tokens
        self.extra = count_tokens("")  # tokens that mark the beginning and the end
        pieces = list(_PIECE.finditer(text))
        counts = [count_tokens(piece[0]) - self.extra for piece in pieces]
        seam = self.tokens_per_seam(pieces[:_SAMPLE], counts)
        self.starts = [piece.start() for piece in pieces] + [len(text)]
        self.sums = list(accumulate((max(count - seam, 0) for count in counts), initial=0.0))
        self.total = self.extra + self.sums[-1]
        self.found_at = 0

    def __call__(self, part: str) -> int:
        start = self.text.find(part, max(self.found_at - _LOOK_BACK, 0))
        if start < 0:
            return self.count_tokens(part)
        self.found_at = start
        return self.extra + math.ceil(self.before(start + len(part)) - self.before(start))

    def tokens_per_seam(self, sample: list[re.Match[str]], counts: list[int]) -> float:
        """How many tokens a piece has only because it was counted by itself."""
        together = self.count_tokens(self.text[sample[0].start() : sample[-1].end()]) - self.extra
        return (sum(counts[: len(sample)]) - together) / len(sample)

    def before(self, position: int) -> float:
        """How many tokens stand before this position."""
        if position >= self.starts[-1]:
            return self.sums[-1]
        piece = bisect_right(self.starts, position) - 1
        start, end = self.starts[piece : piece + 2]
        first, last = self.sums[piece : piece + 2]
        return first + (last - first) * (position - start) / (end - start)
