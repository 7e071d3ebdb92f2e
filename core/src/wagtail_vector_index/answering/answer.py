"""An answer: a text that arrives piece by piece, and the sources that it rests on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager

from ..chat.base import ChatBackend, Message
from ..contract.foreign_errors import as_ours
from ..exceptions import ChatUnavailable
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
        with self._failing, closing(self._stream()) as stream:
            for piece in stream:
                pieces.append(piece)
                yield piece
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield the text piece by piece, without blocking the event loop."""
        if self._pieces is not None:
            for piece in self._pieces:
                yield piece
            return
        pieces = []
        with self._failing:
            async with aclosing(self._astream()) as stream:
                async for piece in stream:
                    pieces.append(piece)
                    yield piece
        self._pieces = pieces

    # The iterator of a backend may be one that cannot be closed, unlike these generators.

    def _stream(self) -> Generator[str]:
        yield from self._backend.stream(self._messages)

    async def _astream(self) -> AsyncGenerator[str]:
        stream = self._backend.astream(self._messages)
        try:
            async for piece in stream:
                yield piece
        finally:
            if close := getattr(stream, "aclose", None):
                await close()

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
