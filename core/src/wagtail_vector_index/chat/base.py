"""The contract of a chat backend: it answers from given messages."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.options import Options as BaseOptions
from ..contract.token_estimate import estimate_tokens

__all__ = ["ChatBackend", "Message"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatBackend(ABC):
    """Answers messages with text, as a language model does.

    An author writes `stream`, and what of the rest the model does differently. Making a
    backend does no I/O.

    Args:
        alias: the key in the settings, for messages.
        options: an instance of the class's ``Options``.

    Example::

        class AcmeChat(ChatBackend):
            context_tokens = 32_000

            def stream(self, messages):
                for part in acme.chat([(m.role, m.content) for m in messages]):
                    yield part.text
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys beside ``BACKEND`` in the settings; a backend declares its own."""

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def stream(self, messages: Sequence[Message]) -> Generator[str]:
        """The answer, piece by piece as it comes.

        Nothing is asked before the first piece is taken. Closing the generator ends the
        request.

        Raises:
            ChatUnavailable: trying again later may help. It can come after some pieces:
                the answer broke off.
            ChatRefused: it will not.
            InvalidAnswer: there is no text in what came.
        """

    async def astream(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        """Like `stream`: in threads, unless the backend is asynchronous itself."""
        pieces = self.stream(messages)
        turn = threading.Lock()  # one that is cancelled goes on to its next piece

        def take() -> str | None:
            with turn:
                return next(pieces, None)

        def close() -> None:
            with turn:
                pieces.close()

        try:
            while (piece := await sync_to_async(take, thread_sensitive=False)()) is not None:
                yield piece
        finally:
            await sync_to_async(close, thread_sensitive=False)()

    @property
    def context_tokens(self) -> int:
        """How many tokens the model can take at once, messages and answer together."""
        return 4_096

    @property
    def answer_tokens(self) -> int:
        """How many of the `context_tokens` are kept free for the answer."""
        return 1_024

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens a text has.

        By default an estimate, rather too high than too low: half as many again as an
        English text really has.
        """
        return estimate_tokens(text)

    def check(self) -> list[CheckMessage]:
        """What can be said about the configuration without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Give back connections. The backend can be used again afterwards."""
