"""Leaves content out of the messages of services and plugins, which may repeat what they got."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["LEFT_OUT", "WITHOUT_CONTENT", "hide_content", "without_content"]

#: Stands for content in messages.
LEFT_OUT = "…"

#: The attribute of an error that holds its message without content.
WITHOUT_CONTENT = "message_without_content"

_WORD = re.compile(r"\w+")
#: The escapes of JSON, of Python's ``repr``, and of URLs, also if they were escaped again.
_ESCAPE = re.compile(
    r"\\+u(?P<unit>[0-9a-fA-F]{4})|(?P<bytes>(?:(?:\\+x|%)[0-9a-fA-F]{2})+)|\\+[nrt]"
)
_HIDDEN = re.compile(rf"{LEFT_OUT}(?:\W{{0,3}}{LEFT_OUT})+")


def hide_content(error: Exception, sent: Iterable[str]) -> None:
    """Have the words that were sent to a service left out of the message of its error.

    Args:
        error: the error that the service's backend raised.
        sent: the texts that were sent.
    """
    setattr(error, WITHOUT_CONTENT, without_content(str(error), sent))


def without_content(message: str, sent: Iterable[str]) -> str:
    """Return a message without the words of the texts that its sender got."""
    words = {_folded(word) for text in sent for word in set(_WORD.findall(_unescaped(text)))}

    def shown(match: re.Match[str]) -> str:
        word = match[0]
        is_letter = len(word) == 1 and word.isascii()
        return LEFT_OUT if _folded(word) in words and not is_letter else word

    return _HIDDEN.sub(LEFT_OUT, _WORD.sub(shown, _unescaped(message)))


def _unescaped(text: str) -> str:
    """Return a text with the characters that JSON, Python or a URL writes as escapes."""
    return unicodedata.normalize("NFC", _ESCAPE.sub(_character, text))


def _character(escape: re.Match[str]) -> str:
    if unit := escape["unit"]:
        return chr(int(unit, 16))
    if not escape["bytes"]:
        return " "
    found = bytes.fromhex("".join(re.findall(r"(?:x|%)(..)", escape["bytes"])))
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("latin-1")


def _folded(word: str) -> str:
    """Return a word without its accents, in lower case, as models' own tokenizers write it."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
