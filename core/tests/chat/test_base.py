"""What a chat backend gets from its base class."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wagtail_vector_index.chat.base import ChatBackend, Message
from wagtail_vector_index.exceptions import ChatRefused

QUESTION = [Message(role="user", content="What?")]


class Slow(ChatBackend):
    """Gives a second piece when it is allowed to."""

    def __init__(self):
        super().__init__("default", self.Options())
        self.allowed = threading.Event()
        self.waiting = threading.Event()
        self.closed = threading.Event()

    def stream(self, messages):
        try:
            yield messages[0].content
            self.waiting.set()
            assert self.allowed.wait(10)
            yield "second"
        finally:
            self.closed.set()


class Refusing(ChatBackend):
    def stream(self, messages):
        yield "first"
        raise ChatRefused("no")


def test_the_asynchronous_twin_gives_the_same():
    backend = Slow()
    backend.allowed.set()

    async def read():
        return [piece async for piece in backend.astream(QUESTION)]

    assert asyncio.run(read()) == list(backend.stream(QUESTION)) == ["What?", "second"]


class Plain(ChatBackend):
    """Its stream is an iterator that cannot be closed."""

    def stream(self, messages):
        return map(str.upper, ["one", "two"])


def test_a_stream_need_not_be_closable():
    backend = Plain("default", None)

    async def read():
        return [piece async for piece in backend.astream(QUESTION)]

    assert asyncio.run(read()) == ["ONE", "TWO"]


def test_the_asynchronous_twin_raises_the_same():
    async def read():
        async for piece in Refusing("default", None).astream(QUESTION):
            assert piece == "first"

    with pytest.raises(ChatRefused):
        asyncio.run(read())


def test_closing_the_asynchronous_twin_closes_the_stream():
    backend = Slow()

    async def read():
        pieces = backend.astream(QUESTION)
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(read())
    assert backend.closed.is_set()


def test_a_task_that_is_cancelled_closes_the_stream():
    backend = Slow()

    async def read():
        async for _ in backend.astream(QUESTION):
            pass

    async def run():
        task = asyncio.create_task(read())
        assert await asyncio.to_thread(backend.waiting.wait, 10)
        task.cancel()
        backend.allowed.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert backend.closed.is_set()


def test_what_a_backend_need_not_say():
    backend = Slow()
    assert backend.answer_tokens < backend.context_tokens
    assert backend.check() == []
    backend.close()
    assert repr(backend) == "<Slow 'default'>"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a", 1),
        ("English prose", 5),
        ("日本語", 4),
        ("\ud800", 1),
        ("x" * 300, 100),
        ("Բարեւ", 10),  # of rare scripts, each byte may be a token
        ("ជំរាបសួរ, hello", 24 + 3),
    ],
)
def test_tokens_are_estimated(text, tokens):
    assert Slow().count_tokens(text) == tokens
