from __future__ import annotations

import logging
from typing import Any

import pytest

from plugins.openai_embeddings.tests.conftest import KEY, MakeBackend
from plugins.openai_embeddings.tests.server import Service
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings, plugin
from wagtail_vector_index.exceptions import EmbeddingRefused, InvalidOptions


def parse(**settings: Any) -> Any:
    return parse_options(OpenAIEmbeddings.Options, settings, "SETTING['default']")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "'MODEL' is missing"),
        ({"MODEL": ""}, "'MODEL' is empty"),
        (
            {"MODEL": "m", "HOST": "example.com"},
            "URL such as 'https://api.example.com/v1', not",
        ),
        ({"MODEL": "m", "HOST": ""}, "not ''"),
        ({"MODEL": "m", "HOST": "https:///v1"}, "not 'https:///v1'"),
        ({"MODEL": "m", "HOST": "https://example.com:x/v1"}, "a URL such as"),
        ({"MODEL": "m", "HOST": "https://[/v1"}, "Invalid IPv6 URL"),
        ({"MODEL": "m", "HOST": "https://example.com/v1?key=1"}, "without '[?]'"),
        (
            {"MODEL": "m", "HOST": f"https://me:{KEY}@example.com"},
            "must not hold a user or password",
        ),
        ({"MODEL": "m", "DIMENSIONS": 0}, "'DIMENSIONS' must be at least 1"),
        ({"MODEL": "m", "MAX_TOKENS": -1}, "'MAX_TOKENS' must be at least 1"),
        ({"MODEL": "m", "BATCH_SIZE": 0}, "'BATCH_SIZE' must be at least 1"),
        ({"MODEL": "m", "CONCURRENCY": 0}, "'CONCURRENCY' must be at least 1"),
        ({"MODEL": "m", "TIMEOUT": 0}, "'TIMEOUT' must be from 0.001 to 86400, not 0"),
        ({"MODEL": "m", "TIMEOUT": float("nan")}, "'TIMEOUT' must be from 0.001 to 86400"),
        ({"MODEL": "m", "TIMEOUT": float("inf")}, "'TIMEOUT' must be from 0.001 to 86400"),
        ({"MODEL": "m", "TIMEOUT": 1e10}, "'TIMEOUT' must be from 0.001 to 86400"),
        ({"MODEL": "m", "MAX_RETRIES": -1}, "'MAX_RETRIES' must be at least 0"),
        (
            {"MODEL": "m", "ENCODING_FORMAT": "hex"},
            "'ENCODING_FORMAT' must be one of 'base64', 'float', not 'hex'.",
        ),
        (
            {"MODEL": "m", "API_KEY": f"{KEY}\n"},
            "'API_KEY' must be ASCII text without spaces or line breaks",
        ),
        (
            {"MODEL": "m", "API_KEY": f"{KEY}\u2019"},
            "'API_KEY' must be ASCII text without spaces or line breaks",
        ),
        ({"MODEL": "m", "API_KEY": None}, "'API_KEY' must be of type str, not NoneType"),
        ({"MODEL": "m", "BASE_URL": "x"}, "unknown key 'BASE_URL'"),
    ],
)
def test_wrong_options(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as raised:
        parse(**settings)
    assert "SETTING['default']" in str(raised.value)
    assert KEY not in f"{raised.value} {raised.value.__cause__}"


def test_the_key_of_the_environment_is_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    options = parse(MODEL="m")
    assert options.api_key == KEY
    assert KEY not in repr(options)
    assert KEY not in options.redact(f"the key is {KEY}")
    assert parse(MODEL="m", HOST="https://api.openai.com/v1/").api_key == KEY
    assert parse(MODEL="m", API_KEY="other").api_key == "other"


def test_the_key_of_the_environment_goes_to_nobody_else(
    make_backend: MakeBackend, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    make_backend(API_KEY="").embed(["text"])
    assert "authorization" not in service.requests[0].headers


def test_the_service_of_the_environment_is_not_asked(
    backend: OpenAIEmbeddings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    backend.embed(["text"])
    assert service.requests


def test_local_services_need_no_key(make_backend: MakeBackend) -> None:
    assert make_backend(API_KEY="").check() == []


def test_no_key_for_openai() -> None:
    backend = OpenAIEmbeddings("default", parse(MODEL="text-embedding-3-small"))
    (message,) = backend.check()
    assert message.id == "wagtail_vector_index_openai.W001"
    assert message.level == logging.WARNING
    assert "OPENAI_API_KEY" in str(message.hint)
    with pytest.raises(EmbeddingRefused, match=r"there is no key\. Set API_KEY"):
        backend.embed(["text"])


def test_a_key_makes_the_check_pass() -> None:
    assert OpenAIEmbeddings("default", parse(MODEL="m", API_KEY=KEY)).check() == []
    headers = {"Authorization": f"Bearer {KEY}"}
    assert OpenAIEmbeddings("default", parse(MODEL="m", HEADERS=headers)).check() == []


def test_a_host_with_a_slash_at_the_end(make_backend: MakeBackend, service: Service) -> None:
    make_backend(HOST=f"{service.url}/").embed(["text"])
    assert service.requests[0].path == "/v1/embeddings"


def test_the_plugin_offers_the_backend() -> None:
    (spec,) = plugin.embedding_backends().values()
    assert plugin.API_VERSION == 1
    assert spec.path == f"wagtail_vector_index.embeddings.openai.{OpenAIEmbeddings.__name__}"
    assert spec.requires == ("openai",)
