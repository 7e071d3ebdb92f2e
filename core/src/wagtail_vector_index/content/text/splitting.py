"""Splits text into chunks for an embedding model, at places where a reader would pause."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from typing import ClassVar

from semantic_text_splitter import TextSplitter as PauseSplitter

__all__ = ["TextSplitter", "split_text"]

# Pieces whose tokens are counted once: a sentence or a line, or about twenty words of a long
# line. Most chunks end at the end of a piece, so their estimated sizes are exact.
_STOPS = r".!?\u3002\uff01\uff1f"
_END = rf"(?:[{_STOPS}](?=\s)|(?=\n)|\Z)"
# The first alternative finds at once what the second would find, unless a full stop comes before.
_PIECE = re.compile(
    rf"\s*\S(?:[^\n{_STOPS}]{{0,118}}+{_END}|[^\n]{{0,118}}?{_END}|[^\n]{{0,118}}\S{{0,200}})"
)
# A text with at most this many characters for each token in a chunk may fit as a whole.
_CHARACTERS_PER_TOKEN = 4
# How many pieces are counted a second time, all together.
_SAMPLE = 32
# Longer lines, such as encoded files, are cut first, because the splitter's time grows with the
# square of a line's length. Nobody writes a paragraph of this length.
_LONGEST_LINE = 30_000
# How many characters around the previous part an estimate searches first for the next part.
_REACH = 30_000


class TextSplitter:
    """Splits text into chunks that fit into an embedding model.

    The attribute ``text_splitter`` of an index names the class that splits its texts. This class
    splits at paragraphs and sentences. A subclass overrides `split` and sets its own `name`.

    Args:
        count_tokens: returns the number of the embedding model's tokens in a text.
        chunk_tokens: the longest chunk, in tokens.
        overlap: how many tokens of the previous chunk a chunk repeats.

    Example::

        class LineSplitter(TextSplitter):
            name = "lines"

            def split(self, text):
                return [line for line in text.splitlines() if line.strip()]
    """

    #: The name is stored with the chunks. If it changes, the index must be rebuilt.
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

    A text that fits is one chunk. A blank text has no chunks. Chunks have no white space at either
    end. With ``overlap``, a chunk begins with at most that many tokens of the previous chunk. A
    sentence that does not fit is split at words, and a word within itself. Only a single character
    can exceed the limit, if the model makes several tokens of it.

    The text must be clean (see ``clean_text``). ``count_tokens`` gets about two and a half times
    the text's length in total. Its exceptions are passed on.

    Raises:
        ValueError: ``chunk_tokens`` or ``overlap`` is out of range.
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
    """Yield parts of the text, cut within lines that are too long, if possible at a space."""
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
    """Yield the chunk if it has no more tokens than allowed, otherwise smaller chunks."""
    chunk = chunk.strip()  # the splitter keeps some control characters that strip() treats as space
    if not chunk:
        return
    if len(chunk) == 1 or count_tokens(chunk) <= chunk_tokens:
        yield chunk
        return
    splitter = PauseSplitter.from_callback(count_tokens, chunk_tokens, overlap=overlap)
    for part in splitter.chunks(chunk):
        yield from _halved(part, count_tokens, chunk_tokens)


def _halved(part: str, count_tokens: Callable[[str], int], chunk_tokens: int) -> Iterator[str]:
    """Yield a part in halves until each fits. A shorter text may have more tokens."""
    part = part.strip()
    if len(part) > 1 and count_tokens(part) > chunk_tokens:
        middle = len(part) // 2
        yield from _halved(part[:middle], count_tokens, chunk_tokens)
        yield from _halved(part[middle:], count_tokens, chunk_tokens)
    elif part:
        yield part


class _Estimate:
    """Estimates the number of tokens in parts of a text. Each piece is counted only once.

    The splitter asks for the sizes of many parts, ten times the text in total. Reading all of
    them would take a tokenizer longer than the embedding model needs.
    """

    def __init__(self, text: str, count_tokens: Callable[[str], int]) -> None:
        self.text = text
        self.count_tokens = count_tokens
        self.extra = count_tokens("")  # the tokens that mark the beginning and the end of a text
        pieces = _PIECE.findall(text)  # one begins where the last one ends
        counts = [count_tokens(piece) - self.extra for piece in pieces]
        seam = self.tokens_per_seam(pieces[:_SAMPLE], counts)
        self.starts = list(accumulate(map(len, pieces), initial=0))
        self.sums = list(accumulate([max(count - seam, 0) for count in counts], initial=0.0))
        self.total = self.extra + self.sums[-1]
        self.found_at = 0

    def __call__(self, part: str) -> int:
        start = self.find(part)
        if start < 0:
            return self.count_tokens(part)
        self.found_at = start
        return self.extra + math.ceil(self.before(start + len(part)) - self.before(start))

    def find(self, part: str) -> int:
        """Return where a part of the text begins, or -1 if the text does not contain it.

        Most parts begin at the same place as the last one, or soon after it. Where chunks overlap,
        some begin before it. A text that repeats itself may have led too far ahead.
        """
        last, end = self.found_at, self.found_at + len(part)
        if self.text.startswith(part, last):
            return last
        for first, after in ((last, end + _REACH), (max(last - _REACH, 0), end), (0, None)):
            if (start := self.text.find(part, first, after)) >= 0:
                return start
        return -1

    def tokens_per_seam(self, sample: list[str], counts: list[int]) -> float:
        """Return how many more tokens a piece has on average if it is counted separately."""
        together = self.count_tokens("".join(sample)) - self.extra
        return (sum(counts[: len(sample)]) - together) / len(sample)

    def before(self, position: int) -> float:
        """Return the number of tokens before a position."""
        if position >= self.starts[-1]:
            return self.sums[-1]
        piece = bisect_right(self.starts, position) - 1
        start, end = self.starts[piece : piece + 2]
        first, last = self.sums[piece : piece + 2]
        return first + (last - first) * (position - start) / (end - start)
