"""Reads the stream of a service: the text, and at its end whether the text is complete."""

from __future__ import annotations

from typing import Any

from wagtail_vector_index.exceptions import (
    ChatError,
    ChatRefused,
    ChatUnavailable,
    InvalidAnswer,
)

from .thoughts import Thoughts, begins_in_thoughts

#: The mark at the end of an answer that stops at the model's limit.
CUT = " …"

#: Why a model stops when its answer is complete, in the words of different services.
_COMPLETE = frozenset(
    "stop stop_sequence eos eos_token end end_turn complete completed done"
    " tool_calls tool_call tool_use function_call".split()
)
#: What a reason contains if the model reached its limit, or a filter stopped it.
_LIMITS = ("length", "max_tokens", "context_window")
_FILTERS = ("filter", "safety", "sensitive", "refus", "prohibited", "blocklist", "guardrail")

#: The names by which services send thoughts apart from the text.
_APART = ("reasoning_content", "reasoning")
#: The types of thoughts in a text that comes as a list of parts, as Mistral sends it.
_THOUGHTS = ("thinking", "reasoning")


class Pieces:
    """Extracts the text from the parts of an answer, without the model's thoughts.

    Args:
        model: the name of the model.
    """

    def __init__(self, model: str) -> None:
        self._thoughts = Thoughts(begun=begins_in_thoughts(model))
        self._begun = False
        self._has_text = False
        self._reason: Any = None
        #: Whether the last part had text or thoughts, and was more than a sign of life.
        self.advanced = False

    def text_of(self, part: Any) -> str:
        """Return the text in a part, which may be empty."""
        self.advanced = False
        # The client does not check what a service sends, so any of this may be missing.
        choices = getattr(part, "choices", None)
        if not isinstance(choices, list) or not choices:
            return ""
        self._begun = True
        self._reason = getattr(choices[0], "finish_reason", None) or self._reason
        delta = getattr(choices[0], "delta", None)
        text, has_thoughts = _read(getattr(delta, "content", None))
        if are_apart := has_thoughts or any(getattr(delta, name, None) for name in _APART):
            self._thoughts.are_apart()
        self.advanced = are_apart or bool(text)
        return self._noted(self._thoughts.without(text))

    def rest(self) -> str:
        """Return the text that was held back, once all parts have come."""
        return self._noted(self._thoughts.rest(complete=self._why in _COMPLETE))

    @property
    def is_cut(self) -> bool:
        """True if the model stopped because it reached its limit."""
        return any(word in self._why for word in _LIMITS)

    def problem(self) -> tuple[type[ChatError], str] | None:
        """Return the error in the answer as a whole; its text follows "the service"."""
        if not self._begun:
            return InvalidAnswer, (
                "returned no answer. Check whether HOST leads to its API, and MODEL is a chat model"
            )
        if self._reason is None:
            return ChatUnavailable, "broke off before the end of its answer. Try again later"
        if any(word in self._why for word in _FILTERS):
            return ChatRefused, "has a filter that stopped the answer"
        if not self.is_cut and self._why not in _COMPLETE:
            # Half an answer must not pass for a whole one.
            return ChatUnavailable, (
                f"stopped before the end of its answer: {self._reason}. Try again later"
            )
        if self._has_text:
            return None
        why = " It used up its tokens before it wrote anything." if self.is_cut else ""
        return InvalidAnswer, f"returned an answer without text.{why}"

    def _noted(self, text: str) -> str:
        self._has_text |= bool(text)
        return text

    @property
    def _why(self) -> str:
        """The reason in small letters, without a comment such as in "content_filter: SAFETY"."""
        return str(self._reason).partition(":")[0].strip().lower()


def _read(content: Any) -> tuple[str, bool]:
    """Return the text in the content of a part, and whether thoughts are apart from it."""
    if isinstance(content, str):
        return content, False
    items = content if isinstance(content, list) else []
    parts = [item for item in items if isinstance(item, dict)]
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    has_thoughts = any(part.get("type") in _THOUGHTS for part in parts)
    return "".join(text for text in texts if isinstance(text, str)), has_thoughts
