"""Reads the stream of a service: the text, and at its end whether the text is complete."""

from __future__ import annotations

from typing import Any

from wagtail_vector_index.exceptions import (
    ChatError,
    ChatRefused,
    ChatUnavailable,
    InvalidAnswer,
)

#: The mark at the end of an answer that stops at the model's limit.
CUT = " …"


class Pieces:
    """Extracts the text from the parts of an answer."""

    def __init__(self) -> None:
        self._begun = False
        self._has_text = False
        self._reason: Any = None

    def text_of(self, part: Any) -> str:
        """Return the text in a part, which may be empty."""
        # The client does not check what a service sends, so any of this may be missing.
        choices = getattr(part, "choices", None)
        if not isinstance(choices, list) or not choices:
            return ""
        self._begun = True
        self._reason = getattr(choices[0], "finish_reason", None) or self._reason
        text = getattr(getattr(choices[0], "delta", None), "content", None)
        if not isinstance(text, str):
            return ""
        self._has_text |= bool(text)
        return text

    @property
    def is_cut(self) -> bool:
        """True if the model stopped because it reached its limit."""
        return bool(self._reason == "length")

    def problem(self) -> tuple[type[ChatError], str] | None:
        """Return the error in the answer as a whole; its text follows "the service"."""
        if not self._begun:
            return InvalidAnswer, (
                "returned no answer. Check whether HOST leads to its API, and MODEL is a chat model"
            )
        if self._reason is None:
            return ChatUnavailable, "broke off before the end of its answer. Try again later"
        if self._reason == "content_filter":
            return ChatRefused, "has a filter that stopped the answer"
        if self._has_text:
            return None
        why = " It used up its tokens before it wrote anything." if self.is_cut else ""
        return InvalidAnswer, f"returned an answer without text.{why}"
