"""Removes from text what databases and embedding models cannot handle."""

from __future__ import annotations

import re

__all__ = ["clean_text"]

_SURROGATES = re.compile("[\ud800-\udfff]")
# Characters that nobody sees and that split a word for a model: soft hyphens, zero-width spaces,
# word joiners, byte-order marks, marks of direction, and tags that are no part of a flag. The
# joiners U+200C and U+200D and the variation selectors stay, since Persian and emoji need them.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0001\U000e0020-\U000e007f]+"
)
_NEWLINES = re.compile("\r\n?")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean_text(text: str) -> str:
    """Return a text in the form in which it is stored. Cleaning it again changes nothing.

    NUL and lone surrogates are removed, because databases and services refuse them. Invisible
    characters are removed as well, because a word with a soft hyphen is another word to a model.
    Lines end in a line feed without white space before it. There is at most one blank line in a
    row, and no white space at either end of the text. Takes time in proportion to the text's
    length.

    The same function cleans content and queries, so that a query finds the text that it quotes.
    """
    # Most texts need no change, and are looked through for each one much faster than replaced.
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii():
        if not _is_encodable(text):
            text = _SURROGATES.sub("", text)
        text = _INVISIBLE.sub("", text)
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    text = text.strip()
    if "\n" in text:
        text = "\n".join(map(str.rstrip, text.split("\n")))
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
