"""Reads what a service streams: the text, and at its end whether that was all of it."""

from __future__ import annotations

from typing import Any

from wagtail_vector_index.exceptions import (
    ChatError,
    ChatRefused,
    ChatUnavailable,
    InvalidAnswer,
)

#: What is put behind an answer that stops at the model's limit.
CUT = " …"


class Pieces:
    """Takes the text out of the parts of one answer."""

    def __init__(self) -> None:
        self._begun = False
        self._has_text = False
        self._reason: Any = None

    def text_of(self, part: Any) -> str:
        """The text in a part; services send parts without any, too."""
        # The client believes what a service sends: any of this may be missing.
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
        """Whether the model stopped since it may not write more."""
        return bool(self._reason == "length")

    def problem(self) -> tuple[type[ChatError], str] | None:
        """What is wrong with the answer as a whole, in words that follow "the service"."""
        if not self._begun:
            return InvalidAnswer, (
                "gave back no answer. Does HOST lead to its API, and is MODEL a chat model?"
            )
        if self._reason is None:
            return ChatUnavailable, "broke off before the end of its answer. Try again later"
        if self._reason == "content_filter":
            return ChatRefused, "has a filter that stopped the answer"
        if self._has_text:
            return None
        why = " It used up its tokens before it wrote anything." if self.is_cut else ""
        return InvalidAnswer, f"gave back an answer without text.{why}"
