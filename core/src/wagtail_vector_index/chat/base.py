"""The base class of chat backends, which answer a list of messages."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.options import Options as BaseOptions
from ..contract.panics import contain_panics
from ..contract.token_estimate import estimate_tokens
from ..exceptions import ChatError

__all__ = ["ChatBackend", "Message"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatBackend(ABC):
    """Answers messages with text, as a language model does.

    The author of a backend writes `stream`, and overrides other methods where the model
    differs from the defaults. Creating a backend does no I/O.

    Args:
        alias: the key in the settings, which messages name.
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
        """The keys in the settings other than ``BACKEND``. A backend declares its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        contain_panics(cls, ChatBackend, ChatError)

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """Yield the answer, piece by piece as it arrives.

        The request is sent when the first piece is taken. If the iterator can be closed, as a
        generator can, closing it ends the request.

        Raises:
            ChatUnavailable: trying again later may help. If some pieces came before it, the
                answer broke off.
            ChatRefused: trying again will not help.
            InvalidAnswer: the model returned no text.
        """

    async def astream(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """Run `stream` in threads. A backend with an asynchronous client overrides this."""
        pieces = pieces_of(self, messages)
        turn = threading.Lock()  # a cancelled take() goes on in its thread until its next piece
        end = object()  # a backend may yield None

        def take() -> Any:
            with turn:
                return next(pieces, end)

        def close() -> None:
            with turn:
                pieces.close()

        try:
            while (piece := await sync_to_async(take, thread_sensitive=False)()) is not end:
                yield piece
        finally:
            await sync_to_async(close, thread_sensitive=False)()

    @property
    def context_tokens(self) -> int:
        """The number of tokens that the model can handle at once, messages and answer together."""
        return 4_096

    @property
    def answer_tokens(self) -> int:
        """The number of the `context_tokens` that are kept free for the answer."""
        return 1_024

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text.

        The default is an estimate that is too high rather than too low: for English text, half
        as many again as the text really has.
        """
        return estimate_tokens(text)

    def check(self) -> list[CheckMessage]:
        """Return the problems in the configuration that can be found without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Close all connections. The backend can be used again afterwards."""


def pieces_of(backend: ChatBackend, messages: Sequence[Message]) -> Generator[Any]:
    """Yield what `stream` yields. Closing this ends the request, if the backend knows how.

    An author may return an iterator that is no generator, and so cannot be closed.
    """
    yield from backend.stream(messages)


async def apieces_of(backend: ChatBackend, messages: Sequence[Message]) -> AsyncGenerator[Any]:
    """Yield what `astream` yields, as `pieces_of` does."""
    stream: Any = backend.astream(messages)
    try:
        async for piece in stream:
            yield piece
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()
