from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.views.debug import ExceptionReporter

from plugins.openai_embeddings.tests.conftest import KEY, MakeReranker
from plugins.openai_embeddings.tests.server import Reply, Service, score_of
from tests.testapp.models import Note
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.openai import plugin
from wagtail_vector_index.exceptions import (
    InvalidOptions,
    InvalidScores,
    RerankingError,
    RerankingRefused,
    RerankingUnavailable,
)
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.reranking.openai import ServiceReranker

NOW = {"Retry-After-Ms": "1", "Retry-After": "0.001"}
QUERY = "how to b\u00e4ke bread"
TEXTS = ["the train leaves", "b\u00e4ke the bread for an hour", "how to knead", ""]
SCORES = [score_of(QUERY, text) for text in TEXTS]


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "some_error", **more}}


ErrorOf = Callable[..., RerankingError]


@pytest.fixture
def error_of() -> Iterator[ErrorOf]:
    """The error of `rerank`, which must be that of `arerank` too, and show no key."""

    def error_of(
        reranker: ServiceReranker, query: str = QUERY, *, reported: bool = True
    ) -> RerankingError:
        with pytest.raises(RerankingError) as raised:
            reranker.rerank(query, TEXTS)
        with pytest.raises(RerankingError) as araised:
            runner.run(reranker.arerank(query, TEXTS))
        sync, other = str(raised.value), str(araised.value)
        assert type(araised.value) is type(raised.value)
        assert other.partition("reached")[0] == sync.partition("reached")[0]
        assert KEY not in "".join(traceback.format_exception(raised.value))
        for error in (raised, araised) if reported else ():
            report = ExceptionReporter(None, error.type, error.value, error.tb)
            assert KEY not in report.get_traceback_html()
        assert "\n" not in sync
        return raised.value

    with asyncio.Runner() as runner:  # one loop, and so one client, for all errors of a test
        yield error_of


# What is sent, and how answers are read


def test_scores_come_in_the_order_of_the_texts(reranker: ServiceReranker) -> None:
    assert sorted(SCORES, reverse=True) != SCORES
    assert reranker.rerank(QUERY, TEXTS) == SCORES
    assert asyncio.run(reranker.arerank(QUERY, TEXTS)) == SCORES


def test_what_is_sent(reranker: ServiceReranker, service: Service) -> None:
    reranker.rerank(QUERY, tuple(TEXTS))
    [request] = service.requests
    assert request.path == "/v1/rerank"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {"model": "test-model", "query": QUERY, "documents": TEXTS}


@pytest.mark.parametrize("end", ["", "/"])
def test_tei(make_reranker: MakeReranker, service: Service, end: str) -> None:
    host = service.url.removesuffix("/v1") + end
    reranker = make_reranker(HOST=host, API_KEY="", PROTOCOL="tei")
    assert reranker.rerank(QUERY, TEXTS) == SCORES
    assert asyncio.run(reranker.arerank(QUERY, TEXTS)) == SCORES
    assert service.requests[0].path == "/rerank"
    assert service.requests[0].body == {"query": QUERY, "texts": TEXTS, "truncate": True}


def voyage(answer: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": answer["results"], "model": "m", "usage": {"total_tokens": 1}}


def jina(answer: dict[str, Any]) -> dict[str, Any]:
    results = [{**each, "document": {"text": TEXTS[each["index"]]}} for each in answer["results"]]
    return {"model": "m", "object": "list", "usage": {}, "results": results}


def floats(answer: dict[str, Any]) -> dict[str, Any]:
    return {"results": [{**each, "index": float(each["index"])} for each in answer["results"]]}


def decimals(answer: dict[str, Any]) -> dict[str, Any]:
    return {"results": [{**each, "index": str(each["index"])} for each in answer["results"]]}


@pytest.mark.parametrize("change", [voyage, jina, floats, decimals])
def test_services_that_answer_in_other_words(
    reranker: ServiceReranker, service: Service, change: Callable[..., Any]
) -> None:
    service.always = Reply(body=change)
    assert reranker.rerank(QUERY, TEXTS) == SCORES


def test_scores_of_any_scale(reranker: ServiceReranker, service: Service) -> None:
    scores = [-11, 3.5, 0, 1e300]
    results = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
    service.always = Reply(body={"results": results[::-1]})
    assert reranker.rerank(QUERY, TEXTS) == scores


def test_headers_of_the_site(make_reranker: MakeReranker, service: Service) -> None:
    make_reranker(HEADERS={"X-Site": "bakery"}).rerank(QUERY, TEXTS)
    assert service.requests[0].headers["x-site"] == "bakery"


# Wrong answers


def _second(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The ordinary answer with changes in its second item."""
    return lambda answer: {
        "results": [
            {**item, **changes} if position == 1 else item
            for position, item in enumerate(answer["results"])
        ]
    }


WRONG_ANSWERS = [
    (b"<html>Welcome</html>", "something other than JSON, which begins with b'<html>"),
    (b"", "something other than JSON"),
    (b"{", "something other than JSON"),
    ({}, "returned no list of scores, but {}. Check whether HOST leads to its API"),
    (b"null", "returned no list of scores, but null"),
    ({"results": None}, "returned no list of scores"),
    ({"results": [1, 2, 3, 4]}, "returned no list of scores"),
    ({"message": "wrong model"}, '{"message": "wrong model"}'),
    ([], "returned 0 scores for 4 texts"),
    (lambda a: {"results": a["results"][:3]}, "returned 3 scores for 4 texts"),
    (lambda a: {"results": a["results"] * 2}, "returned 8 scores for 4 texts"),
    (_second(index=1), "numbered its 4 scores wrongly: 'index' is 1"),
    (_second(index=4), "'index' is 4"),
    (_second(index=-1), "'index' is -1"),
    (_second(index="4"), "'index' is 4"),
    (_second(index="two"), "'index' is 'two'"),
    (_second(index=0.5), "'index' is 0.5"),
    (_second(index=True), "'index' is True"),
    (_second(index=None), "an 'index' is missing"),
    (_second(relevance_score=None), "a score that is not a finite number: None"),
    (_second(relevance_score="0.5"), "a score that is not a finite number: '0.5'"),
    (_second(relevance_score=True), "a score that is not a finite number: True"),
    (_second(relevance_score=float("nan")), "a score that is not a finite number: nan"),
    (_second(relevance_score=float("inf")), "a score that is not a finite number: inf"),
    (_second(relevance_score=10**400), "a score that is not a finite number: 1000"),
    (_second(relevance_score=[0.5]), "a score that is not a finite number: [0.5]"),
]


def test_answers_that_are_not_the_protocol(
    reranker: ServiceReranker, service: Service, error_of: ErrorOf
) -> None:
    for body, message in WRONG_ANSWERS:
        service.always = Reply(body=body)
        error = error_of(reranker, reported=False)  # a report takes long, and knows no more
        assert type(error) is InvalidScores
        assert message in str(error)
        assert str(error).startswith("Reranking backend 'default' (model 'test-model' at http://")


# Errors of the service


STATUSES = [
    (400, {"message": "too long"}, RerankingRefused, "or lower chunk_tokens of the index"),
    (401, {"message": "invalid api token"}, RerankingRefused, "the key. Set API_KEY"),
    (403, says("not for you"), RerankingRefused, "allowed to use this model"),
    (404, b"<html>Not found</html>", RerankingRefused, "without '/rerank' at its end"),
    (413, {"error": "batch size 50 > 32", "error_type": "Validation"}, RerankingRefused, "32"),
    (422, {"detail": [{"msg": "what?"}]}, RerankingRefused, "Check MODEL and PROTOCOL"),
    (429, {"message": "slow down"}, RerankingUnavailable, "limits the rate. Try again later"),
    (500, b"", RerankingUnavailable, "Try again later. It says: 500."),
    (503, says("overloaded"), RerankingUnavailable, "503 overloaded"),
]


def test_statuses(reranker: ServiceReranker, service: Service, error_of: ErrorOf) -> None:
    for status, body, kind, message in STATUSES:
        content_type = "text/html" if isinstance(body, bytes) else "application/json"
        service.always = Reply(status, body, content_type=content_type)
        error = error_of(reranker)
        assert type(error) is kind
        assert message in str(error)
        assert str(error).startswith("Reranking backend 'default' (model 'test-model' at http://")


def test_errors_with_the_status_200(
    make_reranker: MakeReranker, service: Service, error_of: ErrorOf
) -> None:
    service.always = Reply(body=says("wrong key", code=401))
    error = error_of(make_reranker())
    assert type(error) is RerankingRefused
    assert "does not accept the key. Set API_KEY. It says: 401 wrong key." in str(error)
    service.always = None
    service.replies.append(Reply(body=says("slow down", code=429), headers=NOW))
    assert make_reranker(MAX_RETRIES=1).rerank(QUERY, TEXTS) == SCORES


def test_what_is_worth_another_try_is_tried_again(
    make_reranker: MakeReranker, service: Service
) -> None:
    service.replies.extend([Reply(500, headers=NOW), Reply(429, says("slow down"), headers=NOW)])
    assert make_reranker(MAX_RETRIES=2).rerank(QUERY, TEXTS) == SCORES
    assert len(service.requests) == 3


def test_refusals_are_not_tried_again(make_reranker: MakeReranker, service: Service) -> None:
    service.always = Reply(401, says("wrong key"))
    with pytest.raises(RerankingRefused):
        make_reranker(MAX_RETRIES=2).rerank(QUERY, TEXTS)
    assert len(service.requests) == 1


def test_a_long_wait_is_not_waited_for(make_reranker: MakeReranker, service: Service) -> None:
    """A search page cannot wait for a minute, even if the service asks for it."""
    service.always = Reply(429, says("slow down"), headers={"Retry-After": "60"})
    with pytest.raises(RerankingUnavailable, match="limits the rate"):
        make_reranker(MAX_RETRIES=2).rerank(QUERY, TEXTS)
    assert len(service.requests) == 1


@pytest.mark.parametrize("how", ["wait", "trickle"])
def test_a_service_that_hangs(
    make_reranker: MakeReranker, service: Service, error_of: ErrorOf, how: str
) -> None:
    release = threading.Event()
    service.always = Reply(wait=release) if how == "wait" else Reply(trickle=release)
    try:
        error = error_of(make_reranker(TIMEOUT=0.2, MAX_RETRIES=2))
    finally:
        release.set()
    assert type(error) is RerankingUnavailable
    assert "did not answer within 0.2 seconds." in str(error)
    assert "otherwise raise TIMEOUT, or lower rerank_candidates of the index." in str(error)


def test_connection_refused(make_reranker: MakeReranker, error_of: ErrorOf) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = error_of(make_reranker(HOST=f"http://127.0.0.1:{port}/v1"))
    assert type(error) is RerankingUnavailable
    assert "cannot be reached" in str(error)


def test_connection_dropped(reranker: ServiceReranker, service: Service, error_of: ErrorOf) -> None:
    service.always = Reply(drop=True)
    assert type(error_of(reranker)) is RerankingUnavailable


def test_a_redirect_to_another_host(
    reranker: ServiceReranker, service: Service, error_of: ErrorOf
) -> None:
    service.always = Reply(307, headers={"Location": "http://localhost:9/v1/rerank"})
    error = error_of(reranker)
    assert type(error) is RerankingRefused
    assert "redirects to another host" in str(error)


def test_text_that_is_no_unicode(
    reranker: ServiceReranker, service: Service, error_of: ErrorOf
) -> None:
    error = error_of(reranker, "\ud800")
    assert type(error) is RerankingRefused
    assert "UTF-8" in str(error)
    assert not service.requests


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, says(f"Incorrect API key provided: {KEY}.")),
        Reply(500, f"<html>{KEY}</html>".encode(), content_type="text/html"),
        Reply(body={"message": f"wrong key {KEY}"}),
        Reply(body={"results": [{"index": KEY}] * len(TEXTS)}),
        Reply(body=KEY.encode()),
    ],
)
def test_a_key_that_is_echoed_shows_nowhere(
    make_reranker: MakeReranker,
    service: Service,
    error_of: ErrorOf,
    reply: Reply,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.always = Reply(reply.status, reply.body, headers=NOW, content_type=reply.content_type)
    with caplog.at_level(logging.DEBUG):
        error = error_of(make_reranker(MAX_RETRIES=1))
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in f"{error!r} {error.args}"
    assert KEY[:12] not in f"{error}"
    assert KEY not in caplog.text
    assert caplog.records


def test_the_key_shows_in_no_repr_and_no_log(
    reranker: ServiceReranker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        reranker.rerank(QUERY, TEXTS)
        asyncio.run(reranker.arerank(QUERY, TEXTS))
    assert KEY not in caplog.text + repr(reranker) + repr(reranker.options) + repr(vars(reranker))


# Clients


def test_threads_share_one_client(reranker: ServiceReranker, service: Service) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: reranker.rerank(QUERY, TEXTS), range(4))) == [SCORES] * 4
    reranker.rerank(QUERY, TEXTS)
    assert service.requests[-1].connection in {r.connection for r in service.requests[:-1]}


def test_clients_are_closed_with_their_loops(reranker: ServiceReranker) -> None:
    """An unclosed connection would be a ResourceWarning, and so an error."""
    for _ in range(2):
        async_to_sync(reranker.arerank)(QUERY, TEXTS)
        asyncio.run(reranker.arerank(QUERY, TEXTS))
    gc.collect()


# Options and the plugin


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MODEL": "m"}, "'HOST' is missing"),
        ({"HOST": "https://example.com/v1"}, "'MODEL' is missing"),
        ({"MODEL": "", "HOST": "https://example.com/v1"}, "'MODEL' is empty"),
        ({"MODEL": "m", "HOST": "example.com"}, "'HOST' is a URL such as"),
        ({"MODEL": "m", "HOST": "https://e.com", "PROTOCOL": "jina"}, "one of 'cohere', 'tei'"),
        ({"MODEL": "m", "HOST": "https://e.com", "TIMEOUT": 0}, "'TIMEOUT' must be from 0.001"),
        ({"MODEL": "m", "HOST": "https://e.com", "API_KEY": f"{KEY}\n"}, "'API_KEY' must be"),
        ({"MODEL": "m", "HOST": "https://e.com", "BATCH_SIZE": 5}, "unknown key 'BATCH_SIZE'"),
    ],
)
def test_wrong_options(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as raised:
        parse_options(ServiceReranker.Options, settings, "SETTING['default']")
    assert KEY not in f"{raised.value} {raised.value.__cause__}"


def test_openais_key_goes_to_no_other_service(
    make_reranker: MakeReranker, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    make_reranker(API_KEY="").rerank(QUERY, TEXTS)
    assert "authorization" not in service.requests[0].headers


def test_the_plugin_offers_it() -> None:
    (spec,) = plugin.reranking_backends().values()
    assert spec.path == f"wagtail_vector_index.reranking.openai.{ServiceReranker.__name__}"
    assert spec.requires == ("openai",)


# In a search


class Reranked(VectorIndex):
    name = "testapp.Note"
    querysets = [Note.objects.all()]
    reranking_backend = "service"


@pytest.mark.django_db
def test_a_search_answers_whatever_the_service_does(
    service: Service, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
        "service": {
            "BACKEND": "openai",
            "HOST": service.url,
            "MODEL": "test-model",
            "API_KEY": KEY,
            "TIMEOUT": 0.2,
        }
    }
    for text in ("bread bread", "bread and bread for sale", "bread to bake"):
        Note.objects.create(text=text)
    update(Note.vector_index)
    before = [note.text for note in Note.vector_index.search("bake bread")]
    assert len(before) == 3
    service.always = Reply(body=lambda answer: {"results": answer["results"][::-1]})
    reranked = [note.text for note in Reranked().search("bake bread")]
    assert reranked == sorted(before, key=lambda text: -score_of("bake bread", text))
    release = threading.Event()
    replies = [
        (Reply(401, says(f"wrong key {KEY}")), "does not accept the key. Set API_KEY."),
        (Reply(body={"results": []}), "InvalidScores: "),
        (Reply(wait=release), "did not answer within 0.2 seconds."),
    ]
    try:
        for service.always, message in replies:
            caplog.clear()
            with caplog.at_level(logging.WARNING, "wagtail_vector_index"):
                assert [note.text for note in Reranked().search("bake bread")] == before
            [record] = caplog.records
            assert message in record.getMessage()
            assert KEY not in caplog.text
    finally:
        release.set()
