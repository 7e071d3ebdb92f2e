"""Texts without the secrets of the backends that this process has made.

A backend that was not made has shown its secrets to nobody.
"""

from __future__ import annotations

import traceback

from .handlers import HANDLERS

__all__ = ["redacted", "traceback_to_log"]


def redacted(text: str) -> str:
    """Return a text, such as an error's, without the secrets of this process's backends."""
    for handler in HANDLERS:
        for backend in handler.made():
            text = backend.options.redact(text)
    return text


def traceback_to_log(error: BaseException) -> BaseException | None:
    """Return what to pass as ``exc_info``: the error, or None if its traceback shows a secret."""
    shown = "".join(traceback.format_exception(error))
    return error if redacted(shown) == shown else None
