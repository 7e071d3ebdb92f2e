"""What goes to a service and what does not, and how long its callers wait."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.views.debug import ExceptionReporter

from plugins.openai_embeddings.tests.conftest import KEY, MakeBackend, MakeChat
from plugins.openai_embeddings.tests.server import WORDS, Reply, Service, running_service, vector_of
from wagtail_vector_index.chat.base import Message
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings
from wagtail_vector_index.embeddings.openai.connecting import client_of
from wagtail_vector_index.exceptions import (
    ChatRefused,
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidOptions,
)

MESSAGES = [Message(role="user", content="How is bread baked?")]

#: Far less than any of the waits below that must not happen.
SOON = 20.0

#: Not in the tests themselves, because a report shows their lines.
HEADERS = {"X-Tenant": "s3cret-tenant"}
ECHO = {"error": {"message": "not for s3cret-tenant"}}

#: All that OpenAI's client reads, and what it might read one day.
ENVIRONMENT = {
    "OPENAI_API_KEY": "key-of-openai",
    "OPENAI_ADMIN_KEY": "admin-of-openai",
    "OPENAI_ORG_ID": "org-of-openai",
    "OPENAI_PROJECT_ID": "project-of-openai",
    "OPENAI_WEBHOOK_SECRET": "webhook-of-openai",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer header-of-openai\nX-Tenant: of-openai",
    "AZURE_OPENAI_API_KEY": "azure-of-openai",
    "AZURE_OPENAI_AD_TOKEN": "token-of-openai",
}

ASKED: dict[str, Callable[[Any], Any]] = {
    "embed": lambda backend: backend.embed(["text"]),
    "aembed": lambda backend: asyncio.run(backend.aembed(["text"])),
    "query": lambda backend: backend.embed_query("text"),
    "aquery": lambda backend: asyncio.run(backend.aembed_query("text")),
}
ask = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
ask_a_query = pytest.mark.parametrize("ask", list(ASKED.values())[2:], ids=["query", "aquery"])


def parse(**settings: Any) -> Any:
    return parse_options(OpenAIEmbeddings.Options, settings, "SETTING['default']")


async def alist(chat: Any) -> list[str]:
    return [piece async for piece in chat.astream(MESSAGES)]


@pytest.fixture
def other() -> Iterator[Service]:
    """A service that is none of this alias's business."""
    with running_service() as service:
        yield service


# Nothing of one service goes to another


@ask
def test_nothing_in_the_environment_goes_to_another_service(
    make_backend: MakeBackend, service: Service, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    for pair in ENVIRONMENT.items():
        monkeypatch.setenv(*pair)
    ask(make_backend())
    for request in service.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert "of-openai" not in repr(request.headers)
        assert not [name for name in request.headers if name.startswith(("openai", "x-tenant"))]


def test_nor_does_it_with_a_question(
    make_chat: MakeChat, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pair in ENVIRONMENT.items():
        monkeypatch.setenv(*pair)
    chat = make_chat(API_KEY="")
    assert list(chat.stream(MESSAGES)) == asyncio.run(alist(chat)) == WORDS
    for request in service.requests:
        assert "authorization" not in request.headers
        assert "of-openai" not in repr(request.headers)


def test_an_environment_for_another_service_is_not_for_openai(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example.com/v1")
    assert parse(MODEL="m").api_key == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1/")
    assert parse(MODEL="m").api_key == KEY


@pytest.mark.parametrize("base_url", ["", "https://gateway.example.com/v1"])
def test_openai_gets_the_organisation_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, base_url: str
) -> None:
    for pair in {**ENVIRONMENT, "OPENAI_BASE_URL": base_url}.items():
        monkeypatch.setenv(*pair)
    with client_of(parse(MODEL="m", API_KEY=KEY)) as client:
        http: Any = client._client
        request = http.build_request("POST", "https://api.openai.com/v1", headers=_sent(client))
        for hook in http.event_hooks["request"]:
            hook(request)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-tenant" not in request.headers
    expected = None if base_url else "org-of-openai"
    assert request.headers.get("openai-organization") == expected


def _sent(client: Any) -> dict[str, str]:
    return {name: text for name, text in client.default_headers.items() if isinstance(text, str)}


@ask
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(
    make_backend: MakeBackend, service: Service, other: Service, ask: Any, status: int
) -> None:
    service.always = Reply(status, b"", headers={"Location": f"{other.url}/embeddings"})
    with pytest.raises(EmbeddingRefused) as raised:
        ask(make_backend(MAX_RETRIES=3))
    assert f"redirects to another host, {other.url.removesuffix('/v1')}, which" in str(raised.value)
    assert "set HOST to its base URL" in str(raised.value)
    assert len(service.requests) == 1
    assert not other.requests


def test_nor_with_a_question(make_chat: MakeChat, service: Service, other: Service) -> None:
    service.always = Reply(307, b"", headers={"Location": f"{other.url}/chat/completions"})
    for read in (lambda chat: list(chat.stream(MESSAGES)), lambda chat: asyncio.run(alist(chat))):
        with pytest.raises(ChatRefused, match="redirects to another host"):
            read(make_chat())
    assert not other.requests


@ask
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_loses_the_texts_is_not_followed(
    make_backend: MakeBackend, service: Service, ask: Any, status: int
) -> None:
    """HTTP clients make a GET without a body of it."""
    moved = service.url.replace("://", f"://me:{KEY}@").replace("/v1", "/api/v1/embeddings?a=1")
    service.always = Reply(status, b"", headers={"Location": moved})
    with pytest.raises(EmbeddingRefused) as raised:
        ask(make_backend(MAX_RETRIES=3))
    address = service.url.replace("/v1", "/api/v1/embeddings")
    assert f"): redirects to {address}, but with a status that drops" in str(raised.value)
    assert "Set HOST to the part of that address before '/embeddings'," in str(raised.value)
    assert KEY not in str(raised.value)
    assert len(service.requests) == 1


def test_nor_one_that_loses_the_question(make_chat: MakeChat, service: Service) -> None:
    moved = {"Location": "/api/v1/chat/completions"}
    service.always = Reply(301, b"", headers=moved)
    for read in (lambda chat: list(chat.stream(MESSAGES)), lambda chat: asyncio.run(alist(chat))):
        with pytest.raises(ChatRefused, match=r"redirects to http.*/api/v1/chat/completions"):
            read(make_chat())


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_service_is_followed(
    make_backend: MakeBackend, service: Service, status: int
) -> None:
    service.replies.append(Reply(status, b"", headers={"Location": "/v2/embeddings"}))
    assert make_backend().embed(["text"]).tolist() == vector_of("text")
    assert [request.path for request in service.requests] == ["/v1/embeddings", "/v2/embeddings"]
    assert service.requests[1].headers["authorization"] == f"Bearer {KEY}"


# Headers


@ask
def test_headers_are_sent(make_backend: MakeBackend, service: Service, ask: Any) -> None:
    ask(make_backend(HEADERS={"X-Tenant": "bakery", "Authorization": "Basic c2VjcmV0"}))
    for request in service.requests:
        assert request.headers["x-tenant"] == "bakery"
        assert request.headers["authorization"] == "Basic c2VjcmV0"
        assert KEY not in repr(request.headers)


@ask
@pytest.mark.parametrize("settings", [{}, {"API_VERSION": "2024-10-21"}])
def test_no_key_is_invented_beside_the_one_in_the_headers(
    make_backend: MakeBackend, service: Service, ask: Any, settings: dict[str, str]
) -> None:
    ask(make_backend(API_KEY="", HEADERS={"X-API-Key": "s3cret"}, **settings))
    for request in service.requests:
        assert request.headers["x-api-key"] == "s3cret"
        assert not {"authorization", "api-key"} & set(request.headers)


def test_headers_are_sent_with_questions(make_chat: MakeChat, service: Service) -> None:
    list(make_chat(HEADERS={"X-Tenant": "bakery"}).stream(MESSAGES))
    assert service.requests[0].headers["x-tenant"] == "bakery"


def test_headers_show_nowhere(make_backend: MakeBackend, service: Service) -> None:
    backend = make_backend(HEADERS=HEADERS)
    service.always = Reply(400, ECHO)
    with pytest.raises(EmbeddingRefused) as raised:
        backend.embed(["text"])
    report = ExceptionReporter(None, raised.type, raised.value, raised.tb).get_traceback_html()
    shown = "".join(traceback.format_exception(raised.value)) + report
    assert HEADERS["X-Tenant"] not in f"{shown} {backend!r} {backend.options!r}"


def test_headers_show_in_no_report_of_a_request_that_did_not_leave(
    make_backend: MakeBackend,
) -> None:
    backend = make_backend(HOST="http://127.0.0.1:1/v1", HEADERS=HEADERS)
    with pytest.raises(EmbeddingUnavailable) as raised:
        backend.embed(["text"])
    report = ExceptionReporter(None, raised.type, raised.value, raised.tb).get_traceback_html()
    assert HEADERS["X-Tenant"] not in report


def test_headers_change_no_fingerprint(make_backend: MakeBackend) -> None:
    plain, other = make_backend(DIMENSIONS=8), make_backend(DIMENSIONS=8, HEADERS={"X": "1"})
    assert plain.fingerprint == other.fingerprint


# What documents and queries are sent with


@pytest.mark.parametrize("asynchronous", [False, True])
def test_bodies_of_documents_and_queries(
    make_backend: MakeBackend, service: Service, asynchronous: bool
) -> None:
    backend = make_backend(
        DIMENSIONS=8,
        DOCUMENT_BODY={"input_type": "passage", "truncate": "END"},
        QUERY_BODY={"input_type": "query", "options": {"num_ctx": 512}},
    )

    async def run() -> None:
        assert [batch async for batch in backend.aembed_documents(["a"])]
        await backend.aembed_query("b")

    if asynchronous:
        asyncio.run(run())
    else:
        list(backend.embed_documents(["a"]))
        backend.embed_query("b")
    sent = {"model": "test-model", "encoding_format": "base64", "dimensions": 8}
    assert [request.body for request in service.requests] == [
        {**sent, "input": ["a"], "input_type": "passage", "truncate": "END"},
        {**sent, "input": ["b"], "input_type": "query", "options": {"num_ctx": 512}},
    ]


def test_what_changes_the_vectors_of_documents_changes_the_fingerprint(
    make_backend: MakeBackend,
) -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"DOCUMENT_BODY": {"input_type": "passage"}},
        {"DOCUMENT_BODY": {"input_type": "query"}},
        {"DOCUMENT_PREFIX": "passage: "},
        {"DOCUMENT_PREFIX": "passage: ", "DOCUMENT_BODY": {"truncate": "END"}},
    ]
    prints = [make_backend(DIMENSIONS=8, **body).fingerprint for body in bodies]
    assert len(set(prints)) == len(bodies)
    queries = make_backend(DIMENSIONS=8, QUERY_BODY={"input_type": "query"}, QUERY_PREFIX="q: ")
    assert queries.fingerprint == prints[0]
    one = make_backend(DIMENSIONS=8, DOCUMENT_BODY={"a": 1, "b": 2})
    assert one.fingerprint == make_backend(DIMENSIONS=8, DOCUMENT_BODY={"b": 2, "a": 1}).fingerprint


# Azure


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/"])
def test_azure(make_backend: MakeBackend, service: Service, path: str) -> None:
    host = service.url.removesuffix("/v1")
    backend = make_backend(HOST=f"{host}{path}", API_VERSION="2024-10-21", DEPLOYMENT="bakery-1")
    assert backend.embed(["text"]).tolist() == vector_of("text")
    [request] = service.requests
    assert request.path == "/openai/deployments/bakery-1/embeddings?api-version=2024-10-21"
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers
    assert "bakery-1" not in backend.fingerprint


def test_azures_deployment_is_named_like_the_model_by_default(
    make_chat: MakeChat, service: Service
) -> None:
    chat = make_chat(HOST=service.url.removesuffix("/v1"), API_VERSION="2024-10-21")
    assert list(chat.stream(MESSAGES)) == WORDS
    [request] = service.requests
    expected = "/openai/deployments/test-model/chat/completions?api-version=2024-10-21"
    assert request.path == expected
    assert request.headers["api-key"] == KEY


def test_azures_newer_addresses_have_a_path(make_backend: MakeBackend, service: Service) -> None:
    host = service.url.replace("/v1", "/openai/v1")
    make_backend(HOST=host, API_VERSION="preview").embed(["text"])
    make_backend(HOST=host).embed(["text"])
    assert [request.path for request in service.requests] == [
        "/openai/v1/embeddings?api-version=preview",
        "/openai/v1/embeddings",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DEPLOYMENT": "d"}, "'DEPLOYMENT' needs 'API_VERSION'"),
        ({"DEPLOYMENT": "d", "API_VERSION": "1", "HOST": "https://a.example/openai/v1"}, "'MODEL'"),
        ({"DEPLOYMENT": "a/b", "API_VERSION": "1"}, "'DEPLOYMENT' must be letters"),
        ({"API_VERSION": "1&x=2"}, "'API_VERSION' is such as"),
        ({"HEADERS": {"X-Tenant": "s3cret\n"}}, "the value of 'X-Tenant' must be ASCII"),
        ({"HEADERS": {"X Tenant": "s3cret"}}, "'X Tenant' is not a valid header name"),
        ({"QUERY_BODY": {"input": []}}, "'QUERY_BODY' must not hold 'input'"),
        ({"DOCUMENT_BODY": {"model": "m"}}, "'DOCUMENT_BODY' must not hold 'model'"),
        ({"DOCUMENT_BODY": {"dimensions": 8}}, "DIMENSIONS and ENCODING_FORMAT are options"),
        ({"QUERY_BODY": {"a": {1, 2}}}, "'QUERY_BODY' must hold only values that JSON has"),
        ({"QUERY_BODY": {"a": float("nan")}}, "only values that JSON has"),
        ({"QUERY_TIMEOUT": 0}, "'QUERY_TIMEOUT' must be from 0.001 to 86400"),
        ({"QUERY_TIMEOUT": 1e10}, "'QUERY_TIMEOUT' must be from 0.001 to 86400"),
        ({"HOST": "https://example.com/v1\n"}, "'HOST' contains a space, a line break"),
    ],
)
def test_wrong_options(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as raised:
        parse(**{"MODEL": "m", **settings})
    assert "s3cret" not in f"{raised.value} {raised.value.__cause__}"


# Proxies


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch, other: Service) -> Service:
    """A proxy that the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("all_proxy", other.url.replace("//", "//me:s3cret@").removesuffix("/v1"))
    return other


@ask
def test_a_proxy_of_the_environment_is_used(
    make_backend: MakeBackend, proxied: Service, ask: Any
) -> None:
    ask(make_backend(HOST="http://embeddings.invalid/v1"))
    assert {request.path for request in proxied.requests} == {
        "http://embeddings.invalid/v1/embeddings"
    }


@ask
@pytest.mark.parametrize(
    "name", ["b\u00fccher.invalid", "B\u00dcCHER.invalid", "xn--bcher-kva.invalid"]
)
def test_a_host_whose_name_is_not_ascii(
    make_backend: MakeBackend, proxied: Service, ask: Any, name: str
) -> None:
    ask(make_backend(HOST=f"http://{name}/v1"))
    for request in proxied.requests:
        assert request.path == "http://xn--bcher-kva.invalid/v1/embeddings"
        assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_host_whose_name_is_not_ascii_redirects(
    make_backend: MakeBackend, proxied: Service
) -> None:
    def redirected(location: str) -> str:
        proxied.always = Reply(307, b"", headers={"Location": location})
        with pytest.raises(EmbeddingRefused) as raised:
            make_backend(HOST="http://b\u00fccher.invalid/v1").embed(["text"])
        return str(raised.value)

    error = redirected("http://other.invalid/v1/embeddings")
    assert (
        "at http://b\u00fccher.invalid/v1): redirects to another host, http://other.invalid,"
        in error
    )
    assert "another host, http://[::1]:8080," in redirected("http://[::1]:8080/v1/embeddings")
    assert len(proxied.requests) == 2


@ask
def test_a_host_that_needs_no_proxy(
    make_backend: MakeBackend,
    service: Service,
    proxied: Service,
    monkeypatch: pytest.MonkeyPatch,
    ask: Any,
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    ask(make_backend())
    assert service.requests
    assert not proxied.requests


def test_an_error_names_the_proxy(make_backend: MakeBackend, proxied: Service) -> None:
    proxied.always = Reply(drop=True)
    with pytest.raises(EmbeddingUnavailable) as raised:
        make_backend(HOST="http://embeddings.invalid/v1").embed(["text"])
    proxy = proxied.url.removesuffix("/v1")
    assert f"cannot be reached through the proxy {proxy}:" in str(raised.value)
    assert "add it to no_proxy" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@ask
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("all_proxy", "socks5://me:s3cret@proxy:1080"),
        ("ALL_PROXY", "socks4://proxy"),
        ("http_proxy", "http://proxy:notaport"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
def test_a_variable_that_no_client_can_be_made_with(
    make_backend: MakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    ask: Any,
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, value)
    with pytest.raises(EmbeddingRefused, match=f"environment variable {variable}") as raised:
        ask(make_backend(HOST="http://embeddings.invalid/v1"))
    assert str(raised.value).startswith("Embedding backend 'default'")
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))


def test_nor_for_a_question(make_chat: MakeChat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    for read in (lambda chat: list(chat.stream(MESSAGES)), lambda chat: asyncio.run(alist(chat))):
        with pytest.raises(ChatRefused, match="Check the environment variable SSL_CERT_FILE"):
            read(make_chat())


# How long a visitor waits


@ask_a_query
def test_a_query_does_not_wait_as_long_as_a_service_asks(
    make_backend: MakeBackend, service: Service, ask: Any
) -> None:
    service.always = Reply(429, b"", headers={"Retry-After": "60"})
    started = time.monotonic()
    with pytest.raises(EmbeddingUnavailable, match="limits the rate"):
        ask(make_backend(MAX_RETRIES=5))
    assert time.monotonic() - started < SOON
    assert len(service.requests) == 1


@ask_a_query
def test_a_query_ends_in_time_however_often_it_may_be_repeated(
    make_backend: MakeBackend, service: Service, ask: Any
) -> None:
    service.always = Reply(500, b"", headers={"Retry-After-Ms": "100"})
    started = time.monotonic()
    with pytest.raises(EmbeddingUnavailable):
        ask(make_backend(MAX_RETRIES=1_000, QUERY_TIMEOUT=2.0))
    assert time.monotonic() - started < SOON
    assert len(service.requests) > 1


@ask_a_query
@pytest.mark.parametrize("how", ["silent", "trickling"])
def test_a_query_ends_in_time_whatever_the_service_does(
    make_backend: MakeBackend, service: Service, ask: Any, how: str
) -> None:
    """Each byte that trickles in restarts the time-out of an HTTP client."""
    release = threading.Event()
    service.always = Reply(wait=release) if how == "silent" else Reply(trickle=release)
    started = time.monotonic()
    try:
        with pytest.raises(EmbeddingUnavailable) as raised:
            ask(make_backend(QUERY_TIMEOUT=0.5, TIMEOUT=5.0, MAX_RETRIES=3))
    finally:
        release.set()
    assert time.monotonic() - started < 4.0
    assert "did not answer within 0.5 seconds." in str(raised.value)
    assert "raise QUERY_TIMEOUT" in str(raised.value)


@pytest.mark.parametrize("ask", list(ASKED.values())[:2], ids=["embed", "aembed"])
def test_each_attempt_ends_in_time_whatever_the_service_does(
    make_backend: MakeBackend, service: Service, ask: Any
) -> None:
    """Some services send white space while they are busy."""
    release = threading.Event()
    service.always = Reply(trickle=release)
    try:
        with pytest.raises(EmbeddingUnavailable) as raised:
            ask(make_backend(TIMEOUT=0.5, MAX_RETRIES=1))
    finally:
        release.set()
    assert "did not answer within 0.5 seconds, tried up to 2 times." in str(raised.value)
    assert len(service.requests) == 2


def test_a_first_query_needs_one_request(make_backend: MakeBackend, service: Service) -> None:
    """So that the time for a query is the time for a search, in a new process too."""
    make_backend().embed_query("text")
    asyncio.run(make_backend().aembed_query("text"))
    assert [request.body["input"] for request in service.requests] == [["text"]] * 2


def test_indexing_waits_for_as_long_as_a_service_asks(
    make_backend: MakeBackend, service: Service
) -> None:
    service.replies.append(Reply(429, b"", headers={"Retry-After": "1"}))
    backend = make_backend(MAX_RETRIES=1, QUERY_TIMEOUT=0.1)
    assert backend.embed(["text"]).tolist() == vector_of("text")


@pytest.mark.parametrize(
    ("asked", "requests"),
    [("600", 1), ("Fri, 31 Dec 2100 23:59:59 GMT", 1), ("Thu, 01 Jan 1970 00:00:00 GMT", 2)],
)
def test_but_not_for_hours(
    make_backend: MakeBackend, service: Service, asked: str, requests: int
) -> None:
    service.always = Reply(503, b"", headers={"Retry-After": asked})
    with pytest.raises(EmbeddingUnavailable):
        make_backend(MAX_RETRIES=1).embed(["text"])
    assert len(service.requests) == requests


@pytest.mark.parametrize("asked", ["nan", "-1", "inf", "soon", "Fri, 31 Dec 99999 23:59:59 GMT"])
def test_a_wait_that_is_none(make_backend: MakeBackend, service: Service, asked: str) -> None:
    service.replies.append(Reply(503, b"", headers={"Retry-After": asked}))
    assert make_backend(MAX_RETRIES=1).embed(["text"]).tolist() == vector_of("text")


def test_a_rate_limit_is_known_as_one(make_backend: MakeBackend, service: Service) -> None:
    for status, limits in ((429, True), (529, True), (503, False)):
        service.always = Reply(status, b"")
        with pytest.raises(EmbeddingUnavailable) as raised:
            make_backend().embed(["text"])
        assert raised.value.limits_rate is limits


def test_a_visitor_does_not_wait_longer_for_an_answer_to_begin(
    make_chat: MakeChat, service: Service
) -> None:
    service.always = Reply(429, b"", headers={"Retry-After": "90"})
    started = time.monotonic()
    with pytest.raises(Exception, match="limits the rate"):
        list(make_chat(MAX_RETRIES=5).stream(MESSAGES))
    assert time.monotonic() - started < SOON
