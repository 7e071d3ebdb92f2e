"""The chat backend ``openai``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from functools import partial
from typing import Any

from django.core import checks

from wagtail_vector_index.chat.base import ChatBackend, Message
from wagtail_vector_index.contract.services import Deadline
from wagtail_vector_index.embeddings.openai.service import Service
from wagtail_vector_index.exceptions import InvalidAnswer

from .errors import CHAT_ADVICE
from .options import ChatOptions
from .pieces import CUT, Pieces

__all__ = ["OpenAIChatBackend"]


class OpenAIChatBackend(ChatBackend):
    """Answers with the ``openai`` client, from OpenAI or any service that speaks its protocol.

    Example::

        WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {
            "default": {"BACKEND": "openai", "MODEL": "gpt-4o-mini"},
        }
    """

    class Options(ChatOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self._service = Service(f"Chat backend {alias!r}", options, CHAT_ADVICE)

    def stream(self, messages: Sequence[Message]) -> Generator[str]:
        """Yield the answer in pieces; an answer that stops at the model's limit ends in "…"."""
        pieces, deadline = Pieces(self.options.model), self._deadline()
        try:
            send = partial(_create, self._request(messages))
            with self._service.open(send, deadline) as parts:
                for part in deadline.each(parts):
                    if text := pieces.text_of(part):
                        yield text
                    if pieces.advanced:
                        deadline.set(self.options.timeout)
        except Exception as error:  # noqa: BLE001  # any error of the client is explained
            failure = self._failure(error)
        else:
            yield from self._end(pieces)
            return
        # Raised outside the handler, so that only a cause that `explain` allows is chained.
        raise failure

    async def astream(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        """Like `stream`."""
        pieces, deadline = Pieces(self.options.model), self._deadline()
        try:
            send = partial(_create, self._request(messages))
            async with await self._service.aopen(send, deadline) as parts:
                async for part in deadline.aeach(parts):
                    if text := pieces.text_of(part):
                        yield text
                    if pieces.advanced:
                        deadline.set(self.options.timeout)
        except Exception as error:  # noqa: BLE001  # any error of the client is explained
            failure = self._failure(error)
        else:
            for text in self._end(pieces):
                yield text
            return
        raise failure

    @property
    def context_tokens(self) -> int:
        """``CONTEXT_TOKENS``; by default the size of OpenAI's own models, or 4,096."""
        return int(self.options.window)

    @property
    def answer_tokens(self) -> int:
        """``ANSWER_TOKENS``."""
        return int(self.options.answer_tokens)

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the alias names OpenAI without a key."""
        return self._service.check()

    def close(self) -> None:
        """Release the connections. The backend can be used again afterwards."""
        self._service.close()

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        return {
            "model": self.options.model,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "stream": True,
        }

    def _deadline(self) -> Deadline:
        """Return the deadline of the wait for the first text, with all attempts."""
        deadline = Deadline()
        deadline.set(self.options.timeout)
        return deadline

    def _failure(self, error: Exception) -> Exception:
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            return InvalidAnswer(self._service.message("returned something other than JSON"))
        return self._service.explain(error)

    def _end(self, pieces: Pieces) -> list[str]:
        rest = pieces.rest()
        if problem := pieces.problem():
            kind, what = problem
            raise kind(self._service.message(what))
        return [text for text in (rest, CUT if pieces.is_cut else "") if text]


def _create(request: dict[str, Any], client: Any, seconds: float) -> Any:
    return client.chat.completions.create(**request, timeout=seconds)
