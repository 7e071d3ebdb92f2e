"""An answer: a text that arrives piece by piece, and the sources that it rests on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import Any

from ..chat.base import ChatBackend, Message, apieces_of, pieces_of
from ..contract.foreign_errors import as_ours
from ..exceptions import ChatUnavailable, InvalidAnswer
from ..wording import article
from .sources import Source

__all__ = ["Answer"]


class Answer:
    """A chat backend's answer to a question, and the sources that it was given.

    The search has already run. The chat backend is called when the text is first read. A text
    that was read to its end is kept, and the chat backend is not called again.

    Args:
        sources: the sources, best first, as the function `sources` returns them.
        backend: the chat backend to call.
        messages: the messages to send to it; empty if nothing was found.
        text: the answer, if it is known already.

    Raises:
        ChatError: the chat backend fails while the text is read. Pieces that arrived before are
            not a complete answer.

    Example::

        answer = index.query("how do I bake bread?")
        for piece in answer:
            print(piece, end="", flush=True)
        for source in answer.sources:
            print(source.object, [chunk.number for chunk in source.chunks])
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        backend: ChatBackend,
        messages: Sequence[Message] = (),
        text: str | None = None,
    ) -> None:
        #: The sources that the answer rests on, best first; empty if nothing was found.
        self.sources = list(sources)
        self._backend = backend
        self._messages = messages
        self._pieces = None if text is None else [text]

    def __repr__(self) -> str:
        return f"<Answer of {self._backend!r} from {len(self.sources)} sources>"

    def __iter__(self) -> Iterator[str]:
        """Yield the text piece by piece, as it arrives."""
        if self._pieces is not None:
            yield from self._pieces
            return
        pieces = []
        with self._failing, closing(pieces_of(self._backend, self._messages)) as stream:
            for piece in stream:
                if text := self._text_of(piece):
                    pieces.append(text)
                    yield text
            self._keep(pieces)

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield the text piece by piece, without blocking the event loop."""
        if self._pieces is not None:
            for piece in self._pieces:
                yield piece
            return
        pieces = []
        with self._failing:
            async with aclosing(apieces_of(self._backend, self._messages)) as stream:
                async for piece in stream:
                    if text := self._text_of(piece):
                        pieces.append(text)
                        yield text
            self._keep(pieces)

    def _text_of(self, piece: Any) -> str:
        """Return the text of a piece, which is "" for None: clients give it for signs of life."""
        if piece is not None and not isinstance(piece, str):
            raise InvalidAnswer(
                f"Chat backend {self._backend.alias!r} returned {article(type(piece).__name__)}"
                " instead of text. Its method stream must yield strings."
            )
        return piece or ""

    def _keep(self, pieces: list[str]) -> None:
        """Keep the pieces of an answer that was read to its end."""
        if not pieces:
            raise InvalidAnswer(f"Chat backend {self._backend.alias!r} returned no text.")
        self._pieces = pieces

    @property
    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Raise ChatUnavailable for an error of the service's client that the backend let pass."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # a third party's client may raise anything
            raise as_ours(error, ChatUnavailable, f"Chat backend {self._backend.alias!r}")  # noqa: B904  # its cause is set

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self)

    async def atext(self) -> str:
        """Return the whole text, without blocking the event loop."""
        return "".join([piece async for piece in self])
