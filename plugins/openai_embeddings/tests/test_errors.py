from __future__ import annotations

import asyncio
import base64
import logging
import socket
import ssl
import threading
import traceback
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from django.views.debug import ExceptionReporter

from plugins.openai_embeddings.tests.conftest import KEY, MakeBackend
from plugins.openai_embeddings.tests.server import Reply, Service, vector_of
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings
from wagtail_vector_index.exceptions import (
    EmbeddingError,
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidEmbeddings,
)

NOW = {"Retry-After-Ms": "1", "Retry-After": "0.001"}


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "some_error", **more}}


def error_of(backend: OpenAIEmbeddings, texts: tuple[str, ...] = ("a", "b")) -> EmbeddingError:
    """The error of `embed`, which must be that of `aembed` too."""
    with pytest.raises(EmbeddingError) as raised:
        backend.embed(texts)
    with pytest.raises(EmbeddingError) as araised:
        asyncio.run(backend.aembed(texts))
    assert type(araised.value) is type(raised.value)
    # What could not be reached is described by the operating system, or by the event loop.
    assert str(araised.value).partition("reached")[0] == str(raised.value).partition("reached")[0]
    assert KEY not in "".join(traceback.format_exception(raised.value))
    for error in (raised, araised):
        report = ExceptionReporter(None, error.type, error.value, error.tb)
        assert KEY not in report.get_traceback_html()
    return raised.value


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, says("too many tokens"), EmbeddingRefused, "MAX_TOKENS"),
        (401, says("wrong key"), EmbeddingRefused, "does not accept the key. Set API_KEY"),
        (403, says("not for you"), EmbeddingRefused, "allowed to use this model"),
        (404, says("no such model"), EmbeddingRefused, "Check MODEL and HOST"),
        (404, b"<html>Not found</html>", EmbeddingRefused, "404 (an HTML page)"),
        (405, {"detail": "Method Not Allowed"}, EmbeddingRefused, "405 Method Not Allowed"),
        (408, says("slow"), EmbeddingUnavailable, "Try again later"),
        (413, {"error": "batch size 256 > 32"}, EmbeddingRefused, "Lower BATCH_SIZE"),
        (422, {"detail": [{"msg": "what?"}]}, EmbeddingRefused, "what?"),
        (429, says("slow down"), EmbeddingUnavailable, "limits the rate"),
        (
            429,
            says("no money", code="insufficient_quota"),
            EmbeddingRefused,
            "plan and billing",
        ),
        (429, says("no", type="insufficient_quota"), EmbeddingRefused, "plan and billing"),
        (429, {"message": "Error: insufficient_quota"}, EmbeddingRefused, "plan and billing"),
        (402, says("pay first"), EmbeddingRefused, "plan and billing"),
        (500, b"", EmbeddingUnavailable, "Try again later. It says: 500."),
        (503, says("overloaded"), EmbeddingUnavailable, "503 overloaded"),
    ],
)
def test_statuses(
    backend: OpenAIEmbeddings, service: Service, status: int, body: Any, kind: type, message: str
) -> None:
    content_type = "text/html" if isinstance(body, bytes) else "application/json"
    service.always = Reply(status, body, content_type=content_type)
    error = error_of(backend)
    assert type(error) is kind
    assert message in str(error)
    assert str(error).startswith(
        f"Embedding backend 'default' (model 'test-model' at {service.url}):"
    )
    assert "\n" not in str(error)
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("body", "kind", "message", "limits"),
    [
        (says("slow down", code=429), EmbeddingUnavailable, "limits the rate", True),
        (says("overloaded", code="503"), EmbeddingUnavailable, "says: 503 overloaded", False),
        (says("wrong key", code=401), EmbeddingRefused, "the key. Set API_KEY", False),
        ({"error": "too long", "code": 413}, EmbeddingRefused, "413 too long", False),
        (says("oops", code="internal_error"), EmbeddingUnavailable, "It says: oops.", False),
        (says("no", type="insufficient_quota"), EmbeddingRefused, "plan and billing", False),
        (says("oops", code=200), EmbeddingUnavailable, "It says: oops.", False),
        ({"error": "Unexpected endpoint"}, EmbeddingUnavailable, "check HOST and MODEL", False),
        ({"error": True, "message": "oops"}, EmbeddingUnavailable, "It says: oops.", False),
        ({"error": {"x": 1}, "data": None}, EmbeddingUnavailable, "says: {'x': 1}", False),
    ],
)
def test_errors_with_the_status_200(
    backend: OpenAIEmbeddings,
    service: Service,
    body: Any,
    kind: type,
    message: str,
    limits: bool,
) -> None:
    """Some gateways report the error of the service behind them in an answer of their own."""
    service.always = Reply(body=body)
    error = error_of(backend)
    assert type(error) is kind
    assert message in str(error)
    assert getattr(error, "limits_rate", False) is limits


def test_errors_with_the_status_200_are_tried_again(
    make_backend: MakeBackend, service: Service
) -> None:
    busy = says("slow down", code=429)
    service.replies.extend([Reply(body=busy, headers=NOW), Reply(body=says("oops"), headers=NOW)])
    assert make_backend(MAX_RETRIES=2).embed(["text"]).tolist() == vector_of("text")
    assert len(service.requests) == 3


def test_vectors_beside_an_error_are_vectors(backend: OpenAIEmbeddings, service: Service) -> None:
    service.always = Reply(body=lambda answer: {**answer, "error": says("deprecated")})
    assert backend.embed(["text"]).tolist() == vector_of("text")


def test_a_rate_limit_with_the_status_200_blames_no_text(
    backend: OpenAIEmbeddings, service: Service
) -> None:
    service.always = Reply(body=says("slow down", code=429))
    with pytest.raises(EmbeddingUnavailable, match="limits the rate"):
        list(backend.embed_each([f"text {number}" for number in range(64)]))
    assert len(service.requests) == 1


def test_what_is_worth_another_try_is_tried_again(
    make_backend: MakeBackend, service: Service
) -> None:
    backend = make_backend(MAX_RETRIES=2)
    service.replies.extend([Reply(500, headers=NOW), Reply(429, says("slow down"), headers=NOW)])
    assert backend.embed(["text"]).tolist() == vector_of("text")
    assert len(service.requests) == 3


def test_retries_end(make_backend: MakeBackend, service: Service) -> None:
    service.always = Reply(429, says("slow down"), headers=NOW)
    with pytest.raises(EmbeddingUnavailable, match="limits the rate"):
        make_backend(MAX_RETRIES=2).embed(["text"])
    assert len(service.requests) == 3


def test_refusals_are_not_tried_again(make_backend: MakeBackend, service: Service) -> None:
    service.always = Reply(401, says("wrong key"))
    with pytest.raises(EmbeddingRefused):
        make_backend(MAX_RETRIES=2).embed(["text"])
    assert len(service.requests) == 1


def test_time_out(make_backend: MakeBackend, service: Service) -> None:
    release = threading.Event()
    service.always = Reply(wait=release)
    try:
        error = error_of(make_backend(TIMEOUT=0.1))
    finally:
        release.set()
    assert type(error) is EmbeddingUnavailable
    assert "did not answer within 0.1 seconds." in str(error)


def test_connection_refused(make_backend: MakeBackend) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = error_of(make_backend(HOST=f"http://127.0.0.1:{port}/v1"))
    assert type(error) is EmbeddingUnavailable
    assert "cannot be reached" in str(error)
    assert "Check HOST" in str(error)


def test_connection_dropped(backend: OpenAIEmbeddings, service: Service) -> None:
    service.always = Reply(drop=True)
    error = error_of(backend)
    assert type(error) is EmbeddingUnavailable
    assert "cannot be reached" in str(error)


def test_plain_http_where_tls_is_expected(make_backend: MakeBackend, service: Service) -> None:
    error = error_of(make_backend(HOST=service.url.replace("http:", "https:"), TIMEOUT=5.0))
    assert type(error) is EmbeddingUnavailable
    assert "cannot be reached" in str(error)


def test_untrusted_certificate(make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")

    backend = make_backend()
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(EmbeddingUnavailable, match=r"not trusted.*SSL_CERT_FILE"):
        backend.embed(["text"])


def _replaced(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The ordinary answer with changes in its second vector."""
    return lambda answer: {"data": [answer["data"][0], {**answer["data"][1], **changes}]}


SHORT = base64.b64encode(array("f", [1, 2]).tobytes()).decode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Welcome</html>", "Check whether HOST is the base URL of its API"),
        (b"", "something other than JSON"),
        (b'{"data": [', "something other than JSON"),
        (b'{"error"', "something other than JSON"),
        ({"error": None}, "no list of vectors"),
        (["error"], "no list of vectors"),
        ({}, "no list of vectors"),
        ([], "returned 0 vectors for 2 texts"),
        ([{"index": 0, "embedding": [1.0]}], "returned 1 vectors for 2 texts"),
        ({"data": None}, "no list of vectors"),
        ({"data": [1, 2]}, "no list of vectors"),
        ({"data": []}, "returned 0 vectors for 2 texts"),
        (lambda a: {"data": a["data"][:1]}, "returned 1 vectors for 2 texts"),
        (lambda a: {"data": a["data"] * 2}, "returned 4 vectors for 2 texts"),
        (_replaced(index=0), "'index' is 0"),
        (_replaced(index=2), "'index' is 2"),
        (_replaced(index=-1), "'index' is -1"),
        (_replaced(index="-1"), "'index' is '-1'"),
        (_replaced(index="2"), "'index' is 2"),
        (_replaced(index="1.0"), "'index' is '1.0'"),
        (_replaced(index="9" * 5_000), "'index' is '999"),
        (_replaced(index=1.5), "'index' is 1.5"),
        (_replaced(index=True), "'index' is True"),
        (_replaced(embedding=SHORT), "vectors of different sizes: 2 and 8"),
        (_replaced(embedding=""), "an empty vector"),
        (_replaced(embedding=[]), "an empty vector"),
        (_replaced(embedding=None), "neither numbers nor base64"),
        (_replaced(embedding=[[1.0], [2.0]]), "neither numbers nor base64"),
        (_replaced(embedding="AAA"), "neither numbers nor base64"),
        (_replaced(embedding="?" * 32), "neither numbers nor base64"),
        (_replaced(embedding=["1"] * 8), "neither numbers nor base64"),
        (_replaced(embedding={"values": [1]}), "neither numbers nor base64"),
    ],
)
def test_answers_that_are_not_the_protocol(
    backend: OpenAIEmbeddings, service: Service, body: Any, message: str
) -> None:
    service.always = Reply(body=body)
    error = error_of(backend)
    assert type(error) is InvalidEmbeddings
    assert message in str(error)
    assert str(error).startswith("Embedding backend 'default' (model 'test-model' at http://127.")


def test_vectors_of_another_size_than_asked_for(
    make_backend: MakeBackend, service: Service
) -> None:
    service.always = Reply(body={"data": [{"index": 0, "embedding": [1, 2, 3]}]})
    with pytest.raises(
        InvalidEmbeddings, match=r"of 3 dimensions instead of 4\. Correct DIMENSIONS"
    ):
        make_backend(DIMENSIONS=4).embed_query("text")


def test_vectors_of_another_size_than_known(make_backend: MakeBackend, service: Service) -> None:
    """For instance because a deployment at Azure has the name of another model."""
    service.always = Reply(body={"data": [{"index": 0, "embedding": [1, 2, 3]}]})
    backend = make_backend(MODEL="text-embedding-3-small", API_VERSION="2024-10-21")
    with pytest.raises(InvalidEmbeddings, match=r"of 3 dimensions instead of 1536\. Set DIMEN"):
        backend.embed_query("text")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e300"])
def test_vectors_that_are_not_finite(
    make_backend: MakeBackend, service: Service, number: str
) -> None:
    service.always = Reply(body=b'{"data": [{"embedding": [0, %s]}]}' % number.encode())
    with pytest.raises(InvalidEmbeddings, match="NaN or infinity"):
        make_backend(DIMENSIONS=2).embed_query("text")


def test_text_that_is_no_unicode(backend: OpenAIEmbeddings, service: Service) -> None:
    error = error_of(backend, ("\ud800",))
    assert type(error) is EmbeddingRefused
    assert "UTF-8" in str(error)
    assert not service.requests


def test_long_pages_are_not_quoted_in_full(backend: OpenAIEmbeddings, service: Service) -> None:
    service.always = Reply(400, says(f"too long: {'x' * 5000} ... the end"))
    message = str(error_of(backend))
    assert len(message) < 800
    assert message.endswith("the end.")


# Secrets


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, says(f"Incorrect API key provided: {KEY}.")),
        Reply(400, says(f"{'x' * 290} {KEY}")),
        Reply(500, f"<html>{KEY}</html>".encode(), content_type="text/html"),
        Reply(body={"error": f"wrong key {KEY}"}),
        Reply(body=KEY.encode()),
    ],
)
def test_a_key_that_is_echoed_shows_nowhere(
    make_backend: MakeBackend, service: Service, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    service.always = Reply(reply.status, reply.body, headers=NOW, content_type=reply.content_type)
    with caplog.at_level(logging.DEBUG):
        error = error_of(make_backend(MAX_RETRIES=1))
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in f"{error!r} {error.args}"
    assert KEY[:12] not in f"{error}"
    assert KEY not in caplog.text
    assert caplog.records


def test_the_key_shows_in_no_repr_and_no_log(
    backend: OpenAIEmbeddings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        backend.embed(["text"])
        asyncio.run(backend.aembed(["text"]))
    assert KEY not in caplog.text + repr(backend) + repr(backend.options) + repr(vars(backend))
    assert not any(KEY in repr(record.__dict__) for record in caplog.records)


def test_what_the_client_refuses_by_itself(backend: OpenAIEmbeddings) -> None:
    from openai import OpenAIError

    error = backend._service.explain(OpenAIError(f"not with {KEY}"))
    assert type(error) is EmbeddingRefused
    assert str(error).startswith("Embedding backend 'default' (model 'test-model' at ")
    assert str(error).endswith(" cannot be used: not with ********.")
    assert error.__cause__ is None
