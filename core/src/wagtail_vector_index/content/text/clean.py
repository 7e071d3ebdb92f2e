"""Removes from text what databases and embedding models cannot handle."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean_text"]

_SURROGATES = re.compile("[\ud800-\udfff]")
# One letter each in fonts, and in texts from PDF files: "ff", "fi", "fl", "ffi", "ffl", "st".
_LIGATURES = {
    chr(number): unicodedata.normalize("NFKC", chr(number)) for number in range(0xFB00, 0xFB07)
}
_SPACES = dict.fromkeys("\u00a0\u1680\u202f\u205f\u3000", " ") | dict.fromkeys(
    map(chr, range(0x2000, 0x200B)), " "
)
_LINE_ENDS = dict.fromkeys("\u0085\u2028\u2029", "\n")
_REPLACED = {**_LIGATURES, **_SPACES, **_LINE_ENDS}
# Besides these, characters that nobody sees and that split a word for a model: soft hyphens,
# zero-width spaces, word joiners, byte-order marks, marks of direction, and tags that are no part
# of a flag. The variation selectors stay, since emoji need them.
_TAGS = "\U000e0001\U000e0020-\U000e007f"
# A single set of characters, since a choice of patterns would take ten times as long.
_ODD = re.compile(
    f"[{''.join(_REPLACED)}"
    "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    f"{_TAGS}][{_TAGS}]*"
)
_FLAG = "\U0001f3f4"
# The joiners U+200C and U+200D stay where Persian, Indian scripts and emoji need them, but not
# between Latin letters, where they only keep ligatures apart.
_LATIN = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_JOINERS = re.compile(f"(?<=[{_LATIN}])[\u200c\u200d]+(?=[{_LATIN}])")
_NEWLINES = re.compile("\r\n?")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean_text(text: str) -> str:
    """Return a text in the form in which it is stored. Cleaning it again changes nothing.

    NUL and lone surrogates are removed, because databases and services refuse them. What looks
    the same becomes the same text, because it is another word to a model otherwise: invisible
    characters are removed, accents are composed with their letters (Unicode's form NFC), spaces of
    any width become a space, and ligatures become their letters. Lines end in a line feed without
    white space before it. There is at most one blank line in a row, and no white space at either
    end of the text. Takes time in proportion to the text's length.

    The same function cleans content and queries, so that a query finds the text that it quotes.
    """
    # Most texts need no change, and are looked through for each one much faster than replaced.
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii():
        if not _is_encodable(text):
            text = _SURROGATES.sub("", text)
        text = unicodedata.normalize("NFC", _ODD.sub(_replacement, text))
        if "\u200c" in text or "\u200d" in text:
            text = _JOINERS.sub("", text)
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    text = text.strip()
    if "\n" in text:
        text = "\n".join(map(str.rstrip, text.split("\n")))
    return _BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _replacement(match: re.Match[str]) -> str:
    odd, before = match[0], match.string[match.start() - 1 : match.start()]
    is_of_flag = before == _FLAG and odd[0] >= _TAGS[0]
    return odd if is_of_flag else _REPLACED.get(odd[0], "")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
