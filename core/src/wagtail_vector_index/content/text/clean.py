"""Text as it is stored and embedded: what databases and models stumble over taken out."""

from __future__ import annotations

import re

__all__ = ["clean_text"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NEWLINES = re.compile("\r\n?")
# Looked for where white space begins only: from within, a long run would be read again and again.
_SPACES_BEFORE_NEWLINE = re.compile(r"(?<![^\S\n])[^\S\n]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean_text(text: str) -> str:
    """The same text in the form in which it is stored. Cleaning twice changes nothing more.

    NUL and lone surrogates, which databases and services refuse, are removed. Lines end in a
    line feed and without white space before it; there is at most one blank line in a row; the
    text has no white space at either end. Takes time in proportion to the text's length.
    """
    if "\x00" in text or not _is_encodable(text):
        text = _UNSTORABLE.sub("", text)
    text = _NEWLINES.sub("\n", text).strip()
    text = _SPACES_BEFORE_NEWLINE.sub("", text)
    return _BLANK_LINES.sub("\n\n", text)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
