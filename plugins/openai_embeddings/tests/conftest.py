from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from plugins.openai_embeddings.tests.server import Service, running_service
from wagtail_vector_index.chat.openai import OpenAIChatBackend
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings
from wagtail_vector_index.reranking.openai import ServiceReranker

KEY = "sk-test-0123456789abcdef"

MakeBackend = Callable[..., OpenAIEmbeddings]
MakeChat = Callable[..., OpenAIChatBackend]
MakeReranker = Callable[..., ServiceReranker]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own: no key, no service, no proxy."""
    for name in [name for name in os.environ if "OPENAI" in name or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
def make(service: Service) -> Iterator[Callable[..., Any]]:
    """Makes a backend as the handler does, from what stands in the settings."""
    made: list[Any] = []

    def make(kind: type[Any], **settings: Any) -> Any:
        given = {"MODEL": "test-model", "API_KEY": KEY, "HOST": service.url, "MAX_RETRIES": 0}
        options = parse_options(kind.Options, {**given, **settings}, "SETTING['default']")
        made.append(kind("default", options))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def make_backend(make: Callable[..., Any]) -> MakeBackend:
    return partial(make, OpenAIEmbeddings)


@pytest.fixture
def backend(make_backend: MakeBackend) -> OpenAIEmbeddings:
    return make_backend()


@pytest.fixture
def make_chat(make: Callable[..., Any]) -> MakeChat:
    return partial(make, OpenAIChatBackend)


@pytest.fixture
def chat(make_chat: MakeChat) -> OpenAIChatBackend:
    return make_chat()


@pytest.fixture
def make_reranker(make: Callable[..., Any]) -> MakeReranker:
    return partial(make, ServiceReranker)


@pytest.fixture
def reranker(make_reranker: MakeReranker) -> ServiceReranker:
    return make_reranker()
