"""Reads the terms of a query: words with their stems, names of several parts, and phrases."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

import snowballstemmer
from django.conf import settings
from django.utils.translation import get_language

from .scripts import HAS_NO_STEMMER, without_accents
from .stop_words import STOP_WORDS

__all__ = ["BETWEEN_PARTS", "LETTER", "WORD", "Term", "query_terms", "stemmer"]

#: The most words of a query to search for, since each word costs time. Each part of a name and
#: each word of a phrase counts. Questions rarely have as many. Of a longer text, the first words
#: find as much as all, and more than the rarest, which are often beside the point.
MAX_WORDS = 20

#: The longest word. Longer ones, such as encoded files, are left out.
MAX_LETTERS = 100

#: The most characters of a query that are read for its words. They hold `MAX_WORDS` long words five
#: times over, and whatever a visitor sends beyond them costs nothing.
_MAX_TEXT = 10_000

#: The shortest stem that stands for all words that begin with it.
_SHORTEST_STEM = 3

#: The combining marks, which are vowels in Hindi and Thai. Regular expressions call them no part of
#: a word.
_MARKS = "".join(
    chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code)).startswith("M")
)
#: Matches a letter, digit, underscore or mark, of which words consist.
LETTER = rf"[\w{_MARKS}]"
_NO_DIGIT = rf"(?:[^\W\d_]|[{_MARKS}])"

#: Matches a word.
WORD = re.compile(rf"{LETTER}+")

#: Matches what stands between the parts of a name or a phrase.
BETWEEN_PARTS = rf"(?:[^\w{_MARKS}]|_)+"

#: Matches a phrase in quotation marks; or a word, which may be a name with several parts, such as
#: "CVE-2024-1234", "5.2", "U+00AD" or "AT&T". The letters after an apostrophe in "page's" are no
#: word.
_TERM = re.compile(
    r"[\"“„«](?P<phrase>[^\"“”„«»\n]{1,200})[\"“”»]"
    rf"|(?P<word>{LETTER}+(?:(?:[-.+@:]+|[&/]){LETTER}+)*)(?:['’](?:s|t|d|m|ll|re|ve)\b)?",
    re.IGNORECASE,
)
_BETWEEN_PARTS = re.compile(BETWEEN_PARTS)
_BETWEEN_NAMES = re.compile("[&/]")

#: Matches a number with words after it, such as "24-hour" or "5-year-old".
_NUMBER_AND_WORDS = re.compile(rf"(?P<first>[0-9]+(?:\.[0-9]+)?-{_NO_DIGIT}+)(?:-{_NO_DIGIT}+)*")

#: Matches a word with a short number after it, such as "COVID-19".
_WORD_AND_NUMBER = re.compile(rf"(?P<word>{_NO_DIGIT}{{2,}})-[0-9]{{1,2}}")

#: The names of the stemmers by the codes of their languages.
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali",
    "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip


@dataclass(frozen=True)
class Term:
    """Something to find in texts.

    Args:
        text: a word, a name of several parts, or a phrase, in lower case. Its parts must follow
            each other.
        stem: the letters that all forms of the word begin with; of a text of several parts, all
            forms of its last word. If empty, only the text itself is searched for. A word of a
            script without spaces, or of Korean, is its own stem.
    """

    text: str
    stem: str = ""


def query_terms(text: str, language: str | None = None) -> list[Term]:
    """Return the different terms of a query, in their order, without stop words.

    A query of stop words alone keeps them. A stop word in capitals, such as "IT", is an acronym
    and stays, unless the whole query is in capitals. A name with a digit or an underscore is found
    only as a whole, like a phrase. A compound of letters, such as "boundary-layer", is found both
    as a whole and by its parts. So are names around "/" or "&", such as "TCP/IP", and a word with a
    short number, such as "COVID-19". A number with a word, such as "24-hour", is found with all
    forms of the word after the number.

    Args:
        text: any text, of which the first 10,000 characters are read.
        language: the code of the language of stop words and stems. The default is the active
            language.
    """
    code = _code(language)
    stop_words = STOP_WORDS.get(code, frozenset())
    text = text[:_MAX_TEXT]
    texts = list(_texts(text, stop_words)) or _texts(text, frozenset())
    terms: list[Term] = []
    count = 0
    stem = _Stem(code)
    for term in dict.fromkeys(map(stem, texts)):
        count += len(_parts(term.text))
        if count > MAX_WORDS:
            break
        terms.append(term)
    return terms


def stemmer(language: str | None = None) -> Callable[[str], str]:
    """Return a function that returns the stem of a word in lower case.

    A stemmer is not safe for threads, so each query has its own.

    Args:
        language: as in `query_terms`.
    """
    name = _STEMMERS.get(_code(language))
    return snowballstemmer.stemmer(name).stemWord if name else str


def _code(language: str | None) -> str:
    return (language or get_language() or settings.LANGUAGE_CODE).lower().partition("-")[0]


def _texts(text: str, stop_words: frozenset[str]) -> Iterator[str]:
    """Yield phrases, words and names in lower case, and the parts of compounds after them."""
    has_small_letters = any(letter.islower() for letter in text)
    for match in _TERM.finditer(text):
        if phrase := match["phrase"]:
            parts = _parts(phrase)
            some = [" ".join(phrase.lower().split())] if 0 < len(parts) <= MAX_WORDS else parts
            yield from (one for one in some if one not in stop_words)
            continue
        word = match["word"]
        if len(word) > MAX_LETTERS:
            continue
        is_acronym = has_small_letters and len(word) > 1 and word.isupper()
        if is_acronym or not stop_words.issuperset(_BETWEEN_NAMES.split(word.lower())):
            yield word.lower()
        yield from (part for part in _parts_of_name(word) if part not in stop_words)


def _parts_of_name(word: str) -> Iterator[str]:
    """Yield the parts of a compound, or of names around "/" or "&", that are terms themselves."""
    if len(names := _BETWEEN_NAMES.split(word)) > 1:
        for name in names:
            if len(name) > 1 and any(letter.isalpha() for letter in name):
                yield name.lower()
                yield from _parts_of_name(name)
    elif match := _WORD_AND_NUMBER.fullmatch(word):
        yield match["word"].lower()
    elif match := _NUMBER_AND_WORDS.fullmatch(word):
        yield match["first"].lower()
    elif not word.isalpha() and _has_only_letters(word):
        yield from (part for part in _parts(word) if len(part) > 1)


def _parts(text: str) -> list[str]:
    return [part for part in _BETWEEN_PARTS.split(text.lower()) if part]


def _has_only_letters(text: str) -> bool:
    """Return whether a text has no digit and no underscore. Vowel signs of Hindi are letters."""
    return not any(letter.isdigit() or letter == "_" for letter in text)


class _Stem:
    """Makes terms of texts."""

    def __init__(self, code: str) -> None:
        self._stem_of = stemmer(code) if code in _STEMMERS else None

    def __call__(self, text: str) -> Term:
        if _NUMBER_AND_WORDS.fullmatch(text):
            number, hyphen, word = text.rpartition("-")
            stem = self._stem(word)
            return Term(text, f"{number}{hyphen}{stem}" if stem else "")
        return Term(text, self._stem(text))

    def _stem(self, word: str) -> str:
        if not WORD.fullmatch(word):
            return ""
        if HAS_NO_STEMMER.search(word):
            return word
        if self._stem_of is None or not _has_only_letters(word):
            return ""
        stem = _common_beginning(self._stem_of(word), word)
        return stem if len(stem) >= _SHORTEST_STEM else ""


def _common_beginning(stem: str, word: str) -> str:
    """Return the letters of a word that its stem begins with, whatever accents they have.

    The stem of "häuser" is "haus".
    """
    pairs = zip(stem, word, strict=False)
    same = takewhile(lambda pair: without_accents(pair[0]) == without_accents(pair[1]), pairs)
    return "".join(letter for _, letter in same)
