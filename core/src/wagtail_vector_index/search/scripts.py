"""What the search for words must know about scripts: spaces between words, forms and accents."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["HAN", "HANGUL", "HAS_NO_STEMMER", "SOUTH_EAST", "without_accents"]

#: The characters of Chinese and Japanese, for a character class of a regular expression.
HAN = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

#: The characters of Thai, Lao, Burmese and Khmer, which put no spaces between words either.
SOUTH_EAST = "\u0e00-\u109f\u1780-\u17ff"

#: The characters of Korean, which adds particles to the ends of words.
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"

#: Matches a character of Korean.
HANGUL = re.compile(rf"[{_HANGUL}]")

#: Matches a character of a script in which a text may have more letters after a word than the
#: query, and for which there are no stemmers.
HAS_NO_STEMMER = re.compile(rf"[{HAN}{SOUTH_EAST}{_HANGUL}]")

#: Matches a letter of Latin, Greek or Cyrillic that may have an accent. In other scripts, such as
#: Hindi, marks are vowels.
_MAY_HAVE_ACCENT = re.compile("[\u00c0-\u024f\u0300-\u036f\u0370-\u052f\u1e00-\u1fff]")


def without_accents(word: str) -> str:
    """Return a word of Latin, Greek or Cyrillic without accents, and any other as it is.

    Example::

        >>> without_accents("häuser")
        'hauser'
    """
    if word.isascii() or not _MAY_HAVE_ACCENT.search(word):
        return word
    letters = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
