"""The scripts that are written without spaces between words, or whose words grow at their ends."""

from __future__ import annotations

import re

__all__ = ["HAN", "HAS_NO_STEMMER", "SOUTH_EAST"]

#: The characters of Chinese and Japanese, for a character class of a regular expression.
HAN = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"

#: The characters of Thai, Lao, Burmese and Khmer, which put no spaces between words either.
SOUTH_EAST = "\u0e00-\u109f\u1780-\u17ff"

#: The characters of Korean, which adds particles to the ends of words.
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"

#: Matches a character of a script in which a text may have more letters after a word than the
#: query, and for which there are no stemmers.
HAS_NO_STEMMER = re.compile(rf"[{HAN}{SOUTH_EAST}{_HANGUL}]")
