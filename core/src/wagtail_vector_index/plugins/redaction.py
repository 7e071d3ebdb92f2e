"""Removes the secrets of backends from texts, such as errors, before others see them.

Only backends that this process has created matter: others have not used their secrets yet.
"""

from __future__ import annotations

import traceback

from .handlers import HANDLERS

__all__ = ["redacted", "stack_of"]


def redacted(text: str) -> str:
    """Return a text, such as an error, without the secrets of this process's backends."""
    for handler in HANDLERS:
        for backend in handler.made():
            text = backend.options.redact(text)
    return text


def stack_of(error: BaseException) -> str:
    """Return where an error was raised, to be logged: lines of code, but no messages or values."""
    return redacted("".join(traceback.format_tb(error.__traceback__)).rstrip())
