"""The settings of the chat backend ``openai``."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from wagtail_vector_index.chat.base import ChatBackend
from wagtail_vector_index.contract import check_ranges
from wagtail_vector_index.embeddings.openai.options import ServiceOptions

#: The tokens that OpenAI's own models take at least, and a low default for other models.
_KNOWN = ("gpt-4.1", "gpt-4o", "gpt-5", "o3", "o4")
_KNOWN_TOKENS = 128_000
_OTHER_TOKENS = 4_096


@dataclass(frozen=True, kw_only=True)
class ChatOptions(ServiceOptions, ChatBackend.Options):
    """The keys of the chat backend, with their defaults and checks."""

    timeout: float = 60.0
    context_tokens: int | None = None
    answer_tokens: int = 1_024

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, {"context_tokens": (1, inf), "answer_tokens": (1, inf)})
        if self.answer_tokens >= self.window:
            raise ValueError(
                f"'ANSWER_TOKENS' ({self.answer_tokens}) must be less than 'CONTEXT_TOKENS', which"
                f" is {self.window}{'' if self.context_tokens else ' by default'}."
            )

    @property
    def window(self) -> int:
        """The tokens that the model takes: ``CONTEXT_TOKENS``, or a known or assumed number."""
        is_known = self.has_openai_models and self.model.startswith(_KNOWN)
        return self.context_tokens or (_KNOWN_TOKENS if is_known else _OTHER_TOKENS)
