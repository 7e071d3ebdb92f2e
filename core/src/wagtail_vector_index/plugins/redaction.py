"""Removes the secrets of backends from texts, such as errors, before others see them.

Only backends that this process has created matter: others have not used their secrets yet.
"""

from __future__ import annotations

import traceback

from .handlers import HANDLERS

__all__ = ["redacted", "traceback_to_log"]


def redacted(text: str) -> str:
    """Return a text, such as an error, without the secrets of this process's backends."""
    for handler in HANDLERS:
        for backend in handler.made():
            text = backend.options.redact(text)
    return text


def traceback_to_log(error: BaseException) -> BaseException | None:
    """Return the error as ``exc_info`` for a log, or None if its traceback shows a secret."""
    shown = "".join(traceback.format_exception(error))
    return error if redacted(shown) == shown else None
