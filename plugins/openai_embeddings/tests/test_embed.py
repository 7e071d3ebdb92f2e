from __future__ import annotations

import asyncio
import base64
import gc
import sys
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from plugins.openai_embeddings.tests.conftest import KEY, MakeBackend
from plugins.openai_embeddings.tests.server import DIMENSIONS, Reply, Service, vector_of
from wagtail_vector_index.embeddings.openai import OpenAIEmbeddings
from wagtail_vector_index.exceptions import InvalidEmbeddings

TEXTS = ["how to bake bread", "das Fahrrad", "日本語"]
URL_ALPHABET = str.maketrans("+/", "-_")


def expected(texts: list[str], dimensions: int = DIMENSIONS) -> list[float]:
    return [number for text in texts for number in vector_of(text, dimensions)]


def test_vectors_come_in_the_order_of_the_texts(backend: OpenAIEmbeddings) -> None:
    vectors = backend.embed(TEXTS)
    assert vectors.format == "f"
    assert vectors.tolist() == expected(TEXTS)


def test_query_and_documents(backend: OpenAIEmbeddings) -> None:
    assert backend.embed_query(TEXTS[0]).tolist() == expected(TEXTS[:1])
    assert [batch.tolist() for batch in backend.embed_documents(TEXTS)] == [expected(TEXTS)]


def test_what_is_sent(backend: OpenAIEmbeddings, service: Service) -> None:
    backend.embed(TEXTS)
    (request,) = service.requests
    assert request.path == "/v1/embeddings"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {"model": "test-model", "input": TEXTS, "encoding_format": "base64"}


def test_dimensions_are_asked_for(make_backend: MakeBackend, service: Service) -> None:
    backend = make_backend(DIMENSIONS=4)
    assert backend.dimensions == 4
    assert not service.requests
    assert backend.embed_query("text").tolist() == vector_of("text", 4)
    assert service.requests[0].body["dimensions"] == 4


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [
        ("text-embedding-3-small", 1536),
        ("text-embedding-3-large", 3072),
        ("text-embedding-ada-002", 1536),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {"HOST": "https://api.openai.com/v1"},
        {"HOST": "https://eu.api.openai.com/v1"},
        {"HOST": "https://name.openai.azure.com/openai/v1"},
        {"API_VERSION": "2024-10-21"},
    ],
)
def test_known_models_are_not_asked(
    make_backend: MakeBackend,
    service: Service,
    options: dict[str, Any],
    model: str,
    dimensions: int,
) -> None:
    backend = make_backend(MODEL=model, **options)
    assert (backend.dimensions, backend.max_tokens) == (dimensions, 8191)
    assert not service.requests


def test_another_service_may_use_the_name_of_a_known_model(make_backend: MakeBackend) -> None:
    backend = make_backend(MODEL="text-embedding-ada-002")
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)
    assert (backend.dimensions, backend.max_tokens) == (DIMENSIONS, None)


def test_dimensions_of_an_unknown_model_cost_one_request(
    backend: OpenAIEmbeddings, service: Service
) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: backend.dimensions, range(8)))
    assert found == [DIMENSIONS] * 8
    assert len(service.requests) == 1
    assert backend.max_tokens is None


def test_a_service_that_sends_numbers(backend: OpenAIEmbeddings, service: Service) -> None:
    service.encodings = {"float"}
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)


def test_numbers_can_be_asked_for(make_backend: MakeBackend, service: Service) -> None:
    assert make_backend(ENCODING_FORMAT="float").embed(TEXTS).tolist() == expected(TEXTS)
    assert service.requests[0].body["encoding_format"] == "float"


def test_misordered_answers_are_put_in_order(backend: OpenAIEmbeddings, service: Service) -> None:
    service.always = Reply(body=lambda answer: {**answer, "data": answer["data"][::-1]})
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)


def test_answers_without_index_are_taken_as_they_come(
    backend: OpenAIEmbeddings, service: Service
) -> None:
    service.always = Reply(
        body=lambda answer: {"data": [{"embedding": item["embedding"]} for item in answer["data"]]}
    )
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)


@pytest.mark.parametrize(
    "change",
    [
        lambda item: {**item, "index": None},
        lambda item: {**item, "index": float(item["index"]), "object": 1, "more": {}},
        lambda item: {**item, "index": str(item["index"])},
        lambda item: {"embedding": item["embedding"], "index": item["index"]},
        lambda item: {**item, "embedding": item["embedding"].rstrip("=")},
        lambda item: {**item, "embedding": f"{item['embedding'][:10]}\n{item['embedding'][10:]}\n"},
        lambda item: {**item, "embedding": [vector_of(TEXTS[item["index"]])]},
        lambda item: {**item, "embedding": vector_of(TEXTS[item["index"]])},
    ],
)
@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": "none", "model": None}])
def test_answers_that_are_right_in_substance_are_taken(
    backend: OpenAIEmbeddings, service: Service, change: Any, usage: dict[str, Any]
) -> None:
    service.always = Reply(body=lambda answer: {"data": list(map(change, answer["data"])), **usage})
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)


@pytest.mark.parametrize("padding", ["=", ""])
def test_base64_in_the_alphabet_for_urls(
    make_backend: MakeBackend, service: Service, padding: str
) -> None:
    vector = array("f", bytes.fromhex("fbefbe3e ffffff3e"))
    text = base64.b64encode(vector.tobytes()).decode()
    assert text == "++++Pv///z4="
    sent = text.translate(URL_ALPHABET).replace("=", padding)
    service.always = Reply(body={"data": [{"index": 0, "embedding": sent}]})
    assert make_backend(DIMENSIONS=2).embed(["text"]).tolist() == vector.tolist()


def test_an_answer_that_is_the_list_itself(backend: OpenAIEmbeddings, service: Service) -> None:
    """As llama.cpp answers at its address without ``/v1``, with vectors in a list of one."""

    def item(index: int) -> dict[str, Any]:
        return {"index": index, "embedding": [vector_of(TEXTS[index])]}

    service.always = Reply(body=[item(2), item(0), item(1)])
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)


def test_whole_numbers_and_a_byte_order_mark(make_backend: MakeBackend, service: Service) -> None:
    service.always = Reply(body=b'\xef\xbb\xbf{"data": [{"index": 0, "embedding": [1, 0, -2]}]}')
    assert make_backend(DIMENSIONS=3).embed(["text"]).tolist() == [1.0, 0.0, -2.0]


def test_batches_by_count(make_backend: MakeBackend, service: Service) -> None:
    texts = [f"text {number}" for number in range(25)]
    batches = list(make_backend(BATCH_SIZE=10, DIMENSIONS=8).embed_documents(texts))
    assert [len(request.body["input"]) for request in service.requests] == [10, 10, 5]
    assert [number for batch in batches for number in batch] == expected(texts)


def test_batches_by_tokens(make_backend: MakeBackend, service: Service) -> None:
    backend = make_backend(DIMENSIONS=8)
    text = "word " * 30_000
    assert backend.count_tokens(text) == 50_000
    list(backend.embed_documents([text] * 5))
    assert [len(request.body["input"]) for request in service.requests] == [2, 2, 1]


def test_prefixes(make_backend: MakeBackend, service: Service) -> None:
    backend = make_backend(QUERY_PREFIX="query: ", DOCUMENT_PREFIX="passage: ", DIMENSIONS=8)
    backend.embed_query("a")
    list(backend.embed_documents(["b"]))
    assert [request.body["input"] for request in service.requests] == [["query: a"], ["passage: b"]]


def test_fingerprint(make_backend: MakeBackend) -> None:
    kind = "wagtail_vector_index.embeddings.openai.OpenAIEmbeddings"
    plain = make_backend(DIMENSIONS=4)
    assert plain.fingerprint == f"{kind}:test-model:4"
    assert make_backend(DIMENSIONS=4, QUERY_PREFIX="q").fingerprint == plain.fingerprint
    assert make_backend(DIMENSIONS=4, DOCUMENT_PREFIX="p").fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("English prose", 5), ("日本語", 4), ("\ud800", 1), ("x" * 300, 100)],
)
def test_count_tokens(backend: OpenAIEmbeddings, text: str, tokens: int) -> None:
    assert backend.count_tokens(text) == tokens


def test_max_tokens(make_backend: MakeBackend) -> None:
    assert make_backend(MAX_TOKENS=512).max_tokens == 512
    options = {"MODEL": "text-embedding-3-small", "HOST": "https://api.openai.com/v1"}
    assert make_backend(**options, MAX_TOKENS=512).max_tokens == 512


def test_threads_share_one_client(backend: OpenAIEmbeddings, service: Service) -> None:
    barrier = threading.Barrier(8)

    def embed(number: int) -> list[float]:
        barrier.wait()
        return backend.embed([f"text {number}"]).tolist()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(embed, range(8))) == [expected([f"text {n}"]) for n in range(8)]
    backend.embed(["again"])
    assert service.requests[-1].connection in {r.connection for r in service.requests[:-1]}


def test_it_can_be_used_after_close(backend: OpenAIEmbeddings, service: Service) -> None:
    backend.embed(TEXTS)
    backend.close()
    backend.close()
    assert backend.embed(TEXTS).tolist() == expected(TEXTS)
    assert service.requests[0].connection != service.requests[1].connection


def test_batches_wait_for_the_service_at_once(make_backend: MakeBackend, service: Service) -> None:
    """While content is indexed, as many calls as ``CONCURRENCY`` run at once, in threads."""
    backend = make_backend(CONCURRENCY=3)
    assert backend.concurrency == 3
    answered = threading.Event()
    service.always = Reply(wait=answered)
    with ThreadPoolExecutor(backend.concurrency) as pool:
        found = pool.map(backend.embed, ([text] for text in TEXTS))
        service.wait_for_requests(3)
        answered.set()
        assert [vectors.tolist() for vectors in found] == [expected([text]) for text in TEXTS]


# Asynchronously


def test_async_twins(make_backend: MakeBackend) -> None:
    backend = make_backend(BATCH_SIZE=2)

    async def run() -> None:
        assert (await backend.aembed(TEXTS)).tolist() == expected(TEXTS)
        assert (await backend.aembed_query(TEXTS[0])).tolist() == expected(TEXTS[:1])
        batches = [batch.tolist() async for batch in backend.aembed_documents(TEXTS)]
        assert batches == [expected(TEXTS[:2]), expected(TEXTS[2:])]

    asyncio.run(run())


def test_one_client_for_each_loop(backend: OpenAIEmbeddings, service: Service) -> None:
    async def twice() -> None:
        await backend.aembed(["a"])
        await backend.aembed(["b"])

    asyncio.run(twice())
    asyncio.run(twice())
    first, second, third, fourth = (request.connection for request in service.requests)
    assert first == second != third == fourth


def test_clients_are_closed_with_their_loops(backend: OpenAIEmbeddings) -> None:
    """An unclosed connection would be a ResourceWarning, and so an error."""
    for _ in range(3):
        async_to_sync(backend.aembed)(TEXTS)
        asyncio.run(backend.aembed(TEXTS))
    gc.collect()


def test_close_on_a_running_loop(backend: OpenAIEmbeddings, service: Service) -> None:
    async def run() -> None:
        await backend.aembed(["a"])
        backend.close()
        assert (await backend.aembed(["b"])).tolist() == expected(["b"])

    asyncio.run(run())
    assert service.requests[0].connection != service.requests[1].connection


def test_requests_run_at_the_same_time(make_backend: MakeBackend, service: Service) -> None:
    backend = make_backend(DIMENSIONS=8)
    release = threading.Event()
    service.replies.extend(Reply(wait=release) for _ in range(5))

    async def run() -> list[memoryview]:
        tasks = [asyncio.create_task(backend.aembed_query(f"text {n}")) for n in range(5)]
        await asyncio.to_thread(service.wait_for_requests, 5)
        release.set()
        return await asyncio.gather(*tasks)

    assert [v.tolist() for v in asyncio.run(run())] == [vector_of(f"text {n}") for n in range(5)]


def test_async_raises_the_same(backend: OpenAIEmbeddings, service: Service) -> None:
    service.always = Reply(body={"data": []})
    with pytest.raises(InvalidEmbeddings, match="returned 0 vectors for 3 texts"):
        asyncio.run(backend.aembed(TEXTS))


def test_close_after_the_loop_has_stopped(backend: OpenAIEmbeddings, service: Service) -> None:
    """The loop closes its client itself, when it shuts down."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(backend.aembed(["a"]))
        backend.close()
        loop.run_until_complete(backend.aembed(["b"]))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    gc.collect()
    assert len(service.requests) == 2


def test_base64_is_little_endian(
    backend: OpenAIEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    swapped = array("f", backend.embed(TEXTS).tobytes())
    swapped.byteswap()
    assert swapped.tolist() == expected(TEXTS)
