"""An answer: text that comes piece by piece, and the sources that it rests on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing

from ..chat.base import ChatBackend, Message
from .sources import Source

__all__ = ["Answer"]


class Answer:
    """What a chat backend answers to a question, and what it was given to answer from.

    The search has been run; the chat backend is asked when the text is first looked at. An
    answer that was read to its end is kept, and not asked for again.

    Args:
        sources: best first, as `sources` gives them.
        backend: what is asked, and with which messages.
        messages: none if nothing was found.
        text: the answer, where it is known already.

    Raises:
        ChatError: while the text is read. Pieces that came before are no whole answer.

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
        #: What the answer rests on, best first; empty if nothing was found.
        self.sources = list(sources)
        self._backend = backend
        self._messages = messages
        self._pieces = None if text is None else [text]

    def __repr__(self) -> str:
        return f"<Answer of {self._backend!r} from {len(self.sources)} sources>"

    def __iter__(self) -> Iterator[str]:
        """The text, piece by piece as it comes."""
        if self._pieces is not None:
            yield from self._pieces
            return
        pieces = []
        with closing(self._backend.stream(self._messages)) as stream:
            for piece in stream:
                pieces.append(piece)
                yield piece
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[str]:
        """Like iterating, without blocking the event loop."""
        if self._pieces is not None:
            for piece in self._pieces:
                yield piece
            return
        pieces = []
        async with aclosing(self._backend.astream(self._messages)) as stream:
            async for piece in stream:
                pieces.append(piece)
                yield piece
        self._pieces = pieces

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self)

    async def atext(self) -> str:
        """Like `text`, without blocking the event loop."""
        return "".join([piece async for piece in self])
