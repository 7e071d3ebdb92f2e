"""Cuts excerpts from chunks: the sentences that share most words with the query."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.utils.html import escape, format_html, format_html_join

from ..contract.validation import check_positive
from ..exceptions import InvalidQuery
from ..wording import shown
from .query_terms import BETWEEN_PARTS, LETTER, WORD, Term, query_terms, stemmer
from .scripts import HAN, HANGUL, SOUTH_EAST, without_accents

__all__ = ["Excerpt", "attach_excerpt", "excerpt_of", "terms_in"]

_WORDS = 40

#: The letters that words with the same stem begin with.
_BEGINNING = 3

#: The marks of the scripts of South-East Asia.
_MARKS = "".join(
    chr(code)
    for code in (*range(0xE00, 0x10A0), *range(0x1780, 0x1800))
    if unicodedata.category(chr(code)).startswith("M")
)
#: A character of South-East Asia, with the vowels and tones that are written around it.
_CLUSTER = rf"[\u0e40-\u0e44\u0ec0-\u0ec4]?[{SOUTH_EAST}][{_MARKS}]*"
#: Punctuation that may follow a word, but not begin one.
_CLOSING = r"[^\w\s(\[{<“„‘«（［「『【〈《]*"  # noqa: RUF001  # those that look alike are meant

#: Matches what counts as one word. Without spaces, that is about as much as a word has on average.
_UNIT = re.compile(
    rf"[{HAN}]{{1,2}}{_CLOSING}|(?:{_CLUSTER}){{1,4}}{_CLOSING}|[^\s{HAN}{SOUTH_EAST}]+"
)
#: Matches between two sentences. Full stops of Chinese and Japanese need no space after them.
_BETWEEN_SENTENCES = re.compile(
    r"(?<=[.?!…।؟۔])[\"'”’»)\]]*\s+|\n+|(?<=[。！？｡])[”’」』）]*"  # noqa: RUF001
)
#: Matches the parts of a query for which there are no words to look for.
_SPACELESS = re.compile(rf"[{HAN}]+|(?:{_CLUSTER})+")
_CHARACTER = re.compile(rf"[{HAN}]|{_CLUSTER}")
#: Japanese endings and particles are written in hiragana.
_HIRAGANA = re.compile(r"[\u3040-\u309f]+\Z")

_WHITE_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Excerpt:
    """Cuts excerpts from the chunk by which a search found an object.

    Every object that a search finds has one, as its method ``get_excerpt``. If its class has a
    method or field of that name, this stays, and the template tag ``search_excerpt`` still works.

    Args:
        text: the text of the chunk.
        query: the text that was searched for.
    """

    text: str
    query: str = ""

    def __call__(self, words: int = _WORDS, *, mark: bool = True) -> str:
        """Return the part of the chunk that shares most words with the query.

        It begins with a sentence, if the words of the query are not far behind its beginning.
        Where text was left out, it has "…". In languages without spaces between words, two
        characters count as a word in Chinese and Japanese, and four in Thai.

        Args:
            words: the most words to return.
            mark: whether to return HTML, in which the words of the query are marked with
                ``<mark>`` and everything else is escaped. Otherwise, plain text is returned.

        Raises:
            InvalidQuery: ``words`` is not an int of at least 1.

        Example::

            for page in BlogPage.vector_index.search("how do I bake bread?"):
                print(page.title, page.get_excerpt(words=20, mark=False))
        """
        check_positive("words", words)
        found = _Found(self.text, self.query)
        start, end = found.best(words)
        pieces = [
            ("… " if self.text[:start].strip() else "", False),
            *(
                (_WHITE_SPACE.sub(" ", piece), is_found)
                for piece, is_found in found.pieces(start, end)
            ),
            (" …" if self.text[end:].strip() else "", False),
        ]
        if not mark:
            return "".join(piece for piece, _ in pieces)
        return format_html_join("", "{}", ([_html(*piece)] for piece in pieces))


def attach_excerpt(instance: Any, text: str, query: str) -> None:
    """Add the text of the best chunk to an object, and a method that cuts excerpts from it.

    A method or field ``get_excerpt`` of the object's own class is not replaced.
    """
    instance.vector_excerpt = text
    instance._vector_excerpt = Excerpt(text, query)  # noqa: SLF001  # a name that no model uses
    if not hasattr(type(instance), "get_excerpt"):
        instance.get_excerpt = instance._vector_excerpt  # noqa: SLF001


def excerpt_of(instance: Any) -> Excerpt:
    """Return the `Excerpt` of an object, which is empty if no search of an index found the object.

    Raises:
        InvalidQuery: this is no instance of a model.
    """
    if not isinstance(instance, Model):
        raise InvalidQuery(f"Only a model instance has an excerpt, not {shown(instance)}.")
    excerpt: Excerpt = getattr(instance, "_vector_excerpt", Excerpt(""))
    return excerpt


def terms_in(text: str, query: str) -> set[int]:
    """Return the numbers of the terms of a query that a text has."""
    return {term for _, _, term in _places(text, query)}


def _html(piece: str, is_found: bool) -> str:  # noqa: FBT001  # a pair from a list
    return format_html("<mark>{}</mark>", piece) if is_found else escape(piece)


class _Found:
    """The places in a text where it has the terms of a query."""

    def __init__(self, text: str, query: str) -> None:
        self.text = text
        #: The number of a term, by the place where it begins and ends.
        self.places = sorted(set(_places(text, query))) if query else []
        self.begins = [begin for begin, _, _ in self.places]

    def best(self, words: int) -> tuple[int, int]:
        """Return the beginning and the end of the part of so many words that has most terms."""
        units = [unit.span() for unit in _UNIT.finditer(self.text)]
        if len(units) <= words:
            return 0, len(self.text.rstrip())
        starts = [start for start, _ in units]
        sentences = sorted({bisect_left(starts, end) for end in self._ends_of_sentences()})

        def end(first: int) -> int:
            return units[min(first + words, len(units)) - 1][1]

        def worth(first: int) -> tuple[int, int, int]:
            inside = self._inside(starts[first], end(first))
            return len({term for _, _, term in inside}), len(inside), -first

        first = max(set(self._candidates(starts, sentences, words)), key=worth, default=0)
        # At the end of the text, sentences before the first one fill the place that is left.
        least = max(0, len(units) - words)
        if first > least:
            first = next((one for one in sentences if least <= one < first), first)
        return starts[first], end(first)

    def pieces(self, start: int, end: int) -> Iterator[tuple[str, bool]]:
        """Yield the pieces of a part of the text, each with whether it is a term of the query."""
        done = start
        for begin, stop in _merged(self._inside(start, end)):
            yield self.text[done:begin], False
            yield self.text[begin:stop], True
            done = stop
        yield self.text[done:end], False

    def _ends_of_sentences(self) -> list[int]:
        return [0, *(match.end() for match in _BETWEEN_SENTENCES.finditer(self.text.rstrip()))]

    def _candidates(self, starts: list[int], sentences: list[int], words: int) -> Iterator[int]:
        """Yield the units with which the excerpt may begin."""
        for begin in self.begins:
            unit = max(0, bisect_right(starts, begin) - 1)
            sentence = sentences[bisect_right(sentences, unit) - 1]
            yield sentence if unit - sentence <= words // 2 else unit - words // 4

    def _inside(self, start: int, end: int) -> list[tuple[int, int, int]]:
        first = bisect_left(self.begins, start)
        last = bisect_left(self.begins, end)
        return [place for place in self.places[first:last] if place[1] <= end]


def _places(text: str, query: str) -> Iterator[tuple[int, int, int]]:
    """Yield the beginning and end of each term of a query in a text, and the term's number."""
    terms = query_terms(query)
    words = {term.text: number for number, term in enumerate(terms) if WORD.fullmatch(term.text)}
    match_word = _Forms(terms, words)
    for match in WORD.finditer(text):
        number = match_word(match[0].lower())
        if number is not None:
            yield *match.span(), number
    for number, term in enumerate(terms, len(terms)):
        if term.text not in words:
            yield from _name_places(text, term, number)
    for number, gram in enumerate(_grams(terms), 2 * len(terms)):
        begin = text.find(gram)
        while begin >= 0:
            yield begin, begin + len(gram), number
            begin = text.find(gram, begin + 1)


class _Forms:
    """Finds the number of the term that a word is a form of, with or without accents.

    The search for words finds a form by its stem or by its beginning, and ignores accents.
    """

    def __init__(self, terms: list[Term], words: dict[str, int]) -> None:
        self._numbers = {without_accents(text): number for text, number in words.items()}
        self._stem_of = stemmer()
        stemmed = [term.text for term in terms if term.stem and term.text in words]
        self._stems = {without_accents(self._stem_of(text)): words[text] for text in stemmed}
        # A word is stemmed, which takes time, only if it begins like one of them.
        self._beginnings = tuple({stem[:_BEGINNING] for stem in self._stems})
        # A word of Korean is its own stem, and particles follow it.
        self._whole = {text: words[text] for text in stemmed if HANGUL.search(text)}

    def __call__(self, word: str) -> int | None:
        bare = without_accents(word)
        number = self._numbers.get(bare)
        if number is None and self._beginnings and bare.startswith(self._beginnings):
            number = self._stems.get(without_accents(self._stem_of(word)))
        if number is None and self._whole and word.startswith(tuple(self._whole)):
            number = next(self._whole[text] for text in self._whole if word.startswith(text))
        return number


def _name_places(text: str, term: Term, number: int) -> Iterator[tuple[int, int, int]]:
    """Yield the places of a name of several parts, or of a phrase."""
    parts = [re.escape(part) for part in re.split(BETWEEN_PARTS, term.stem or term.text) if part]
    ending = rf"{LETTER}*" if term.stem else ""
    pattern = rf"(?<!\w){BETWEEN_PARTS.join(parts)}{ending}(?!\w)"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield *match.span(), number


def _grams(terms: list[Term]) -> list[str]:
    """Return the sequences of characters to look for, if the terms are written without spaces."""
    found: dict[str, None] = {}
    for term in terms:
        for run in _SPACELESS.findall(term.text):
            characters = _CHARACTER.findall(run)
            size = min(len(characters), 2 if len(characters[0]) == 1 and run[0] > "\u3000" else 3)
            for first in range(len(characters) - size + 1):
                gram = "".join(characters[first : first + size])
                if not _HIRAGANA.match(gram):
                    found[gram] = None
    return list(found)


def _merged(places: list[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the places, without overlaps."""
    merged: list[list[int]] = []
    for begin, end, _ in places:
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    yield from ((begin, end) for begin, end in merged)
