"""The errors of the chat backend ``openai``, and what to do about them."""

from __future__ import annotations

from wagtail_vector_index.embeddings.openai.errors import COMMON_STATUSES, Advice
from wagtail_vector_index.exceptions import ChatRefused, ChatUnavailable

CHAT_ADVICE = Advice(
    unavailable=ChatUnavailable,
    refused=ChatRefused,
    statuses={
        **COMMON_STATUSES,
        400: "refuses the request. Check MODEL, and set CONTEXT_TOKENS to what it can take",
        413: "refuses the request as too large. Set CONTEXT_TOKENS to what MODEL can take",
        422: "refuses the request. Check MODEL, and set CONTEXT_TOKENS to what it can take",
    },
    slow="raise TIMEOUT",
    limited="",
)
