"""What a backend raises besides exceptions, as Rust code does when it panics, becomes an error."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.chat.base import ChatBackend, Message
from wagtail_vector_index.contract.options import Options as BaseOptions
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import (
    BackendError,
    ChatError,
    EmbeddingError,
    RerankingError,
)
from wagtail_vector_index.reranking.base import RerankingBackend

SPEC = CollectionSpec(name="panics", dimensions=2)

#: What PyO3 makes for each extension.
PanicException = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})


class OwnPanic(BaseException):
    """A backend's own."""


class OfAnotherLibrary(BaseException):
    """Such as a time limit of greenlets, or a cancellation of an event loop."""

    __module__ = "gevent.timeout"


PANICS = [PanicException("index out of bounds"), OwnPanic(), BaseException("in C")]
PASSING = [KeyboardInterrupt(), SystemExit(1), OfAnotherLibrary()]


class Panicking:
    """A mixin that is no backend, and raises in each method that a backend calls."""

    raised: BaseException

    def _search(self, *arguments: Any) -> Any:
        raise self.raised


class Vectors(Panicking, NumpyBackend):
    async def _aupsert(self, *arguments: Any) -> None:
        raise self.raised

    def _scan(self, *arguments: Any) -> Any:
        yield from super()._scan(*arguments)
        raise self.raised

    async def _ascan(self, *arguments: Any) -> Any:
        async for batch in super()._ascan(*arguments):
            yield batch
        raise self.raised


class Embeddings(EmbeddingBackend):
    raised: BaseException

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        api_key: str = ""

    def embed(self, texts: Any) -> Any:
        raise self.raised


class Chat(ChatBackend):
    raised: BaseException

    def stream(self, messages: Any) -> Any:
        yield "Once"
        raise self.raised


class Reranker(RerankingBackend):
    raised: BaseException

    def rerank(self, query: str, texts: Any) -> Any:
        raise self.raised


def made(kind: type[Any], raised: BaseException) -> Any:
    backend = kind("acme", kind.Options())
    backend.raised = raised
    if kind is Vectors:
        backend.create(SPEC)
    return backend


async def read(items: Any) -> None:
    async for _ in items:
        pass


OPERATIONS = {
    "search": (Vectors, BackendError, lambda b: b.search(SPEC, [1, 0], limit=1)),
    "asearch": (Vectors, BackendError, lambda b: asyncio.run(b.asearch(SPEC, [1, 0], limit=1))),
    "scan": (Vectors, BackendError, lambda b: list(b.scan(SPEC))),
    "ascan": (Vectors, BackendError, lambda b: asyncio.run(read(b.ascan(SPEC)))),
    "embed": (Embeddings, EmbeddingError, lambda b: b.embed_query("bread")),
    "aembed": (Embeddings, EmbeddingError, lambda b: asyncio.run(b.aembed_query("bread"))),
    "embed_documents": (Embeddings, EmbeddingError, lambda b: list(b.embed_documents(["a"]))),
    "stream": (Chat, ChatError, lambda b: list(b.stream([Message(role="user", content="bread")]))),
    "rerank": (Reranker, RerankingError, lambda b: b.rerank("bread", ["rye"])),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("panic", PANICS, ids=repr)
def test_a_panic_is_an_error_of_the_backend(operation, panic):
    kind, error, run = OPERATIONS[operation]
    with pytest.raises(error, match=rf"'acme' \({kind.__name__}\): \w+ panicked: ") as raised:
        run(made(kind, panic))
    assert raised.value.__cause__ is panic


@pytest.mark.parametrize("operation", ["search", "scan", "embed", "stream", "rerank"])
@pytest.mark.parametrize("passing", PASSING, ids=repr)
def test_what_ends_a_process_or_a_task_passes(operation, passing):
    kind, _, run = OPERATIONS[operation]
    with pytest.raises(type(passing)):
        run(made(kind, passing))


def test_an_error_stays_what_it_was():
    with pytest.raises(ZeroDivisionError):
        made(Embeddings, ZeroDivisionError()).embed(["bread"])


def test_the_panic_of_a_backend_shows_no_secret():
    backend = Embeddings("acme", Embeddings.Options(api_key="k3y-of-acme"))
    backend.raised = PanicException("Authorization: k3y-of-acme")
    with pytest.raises(EmbeddingError) as raised:
        backend.embed(["bread"])
    assert "Authorization" in str(raised.value)
    assert "k3y-of-acme" not in str(raised.value)


def test_one_text_of_which_a_model_panics_holds_up_no_other():
    class Poisoned(Embeddings):
        def embed(self, texts: Any) -> Any:
            if "poison" in texts:
                raise PanicException("no such token")
            return [[1.0, 0.0] for _ in texts]

    backend = Poisoned("acme", Poisoned.Options())
    bread, poison, rye = backend.embed_each(["bread", "poison", "rye"])
    assert list(bread) == list(rye) == [1.0, 0.0]
    assert isinstance(poison, EmbeddingError)


def test_a_subclass_replaces_the_method_of_a_mixin():
    class Finding(Panicking):
        def _search(self, *arguments: Any) -> Any:
            return []

    class Both(Vectors, Finding):
        pass

    assert made(Both, PANICS[0]).search(SPEC, [1, 0], limit=1) == []
