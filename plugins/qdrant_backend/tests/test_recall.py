"""Which setting searches use, and how filtered searches end, on a double that sees only a part."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from plugins.qdrant_backend.tests.double import Double, Fault, Request
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend, searching
from wagtail_vector_index.contract import Recall, approximate

MakeBackend = Callable[..., QdrantBackend]

SPEC = CollectionSpec(name="blog", dimensions=4, metric="euclidean", fields={"n": "int"})
COUNT = 200


@pytest.fixture(autouse=True)
def _even_small_collections_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "LEAST_RECORDS", 1)
    monkeypatch.setattr(approximate, "SAMPLE", 20)


def filled(backend: QdrantBackend) -> QdrantBackend:
    backend.create(SPEC)
    vectors = np.zeros((COUNT, 4), np.float32)
    vectors[:, 0] = range(COUNT)
    backend.upsert(
        SPEC,
        RecordBatch.of(
            ids=[UUID(int=row) for row in range(COUNT)],
            vectors=vectors,
            metadata=[{"n": row} for row in range(COUNT)],
        ),
    )
    return backend


def params(double: Double) -> Any:
    return double.requests[-1].body["params"]


@pytest.mark.parametrize("grpc", [False, True])
def test_the_cheapest_setting_that_is_enough(
    double: Double, make_backend: MakeBackend, request: pytest.FixtureRequest, grpc: bool
) -> None:
    if grpc:
        double = request.getfixturevalue("shared_double").double
        port = request.getfixturevalue("shared_grpc_port")
        make_backend = _over_grpc(request, make_backend, port)
    double.candidates = 500
    backend = filled(make_backend())
    recall = backend.optimize(SPEC)
    double.candidates = 0
    backend.drop(SPEC)
    assert recall is not None
    assert (recall.setting, recall.reached, recall.records) == ({"hnsw_ef": 512}, True, COUNT)


def _over_grpc(request: pytest.FixtureRequest, make: MakeBackend, port: int) -> MakeBackend:
    url = request.getfixturevalue("shared_double").url
    return partial(make, HOST=url, GRPC=True, GRPC_PORT=port)


def test_searches_use_it(double: Double, make_backend: MakeBackend) -> None:
    double.candidates = 500
    backend = filled(make_backend())
    backend.search(SPEC, [9, 0, 0, 0])
    assert "hnsw_ef" not in params(double)
    spec = replace(SPEC, recall=backend.optimize(SPEC))
    for found in (
        make_backend().search(spec, [9, 0, 0, 0], limit=2),
        asyncio.run(backend.asearch(SPEC, [9, 0, 0, 0], limit=2)),
    ):
        assert params(double)["hnsw_ef"] == 512
        assert found[0].id == UUID(int=9)


def test_compressed_vectors_need_more_candidates(double: Double, make_backend: MakeBackend) -> None:
    double.candidates = 500
    backend = filled(make_backend(QUANTIZATION="binary"))
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert recall.setting == {"hnsw_ef": 128, "oversampling": 4}
    backend.search(SPEC, [9, 0, 0, 0])
    assert params(double)["quantization"]["oversampling"] == 4


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"EXACT": True}, []),
        ({"HOST": "", "LOCATION": ":memory:"}, []),
        ({"HNSW_EF": 77}, [{"hnsw_ef": 77}]),
        ({"QUANTIZATION": "binary", "RESCORE": False, "HNSW_EF": 77}, [{"hnsw_ef": 77}]),
        (
            {"QUANTIZATION": "binary", "HNSW_EF": 77, "OVERSAMPLING": 3.0},
            [{"hnsw_ef": 77, "oversampling": 3.0}],
        ),
        (
            {"QUANTIZATION": "scalar", "OVERSAMPLING": 3.0},
            [{"hnsw_ef": ef, "oversampling": 3.0} for ef in (128, 256, 512, 1_024)],
        ),
    ],
)
def test_settings_that_the_site_chose(
    make_backend: MakeBackend, options: dict[str, Any], settings: list[Any]
) -> None:
    assert [*make_backend(**options)._search_settings(SPEC)] == settings


def test_the_sites_own_number_of_candidates_wins(double: Double, make_backend: MakeBackend) -> None:
    backend = filled(make_backend(HNSW_EF=77))
    measured = replace(SPEC, recall=Recall(setting={"hnsw_ef": 512}))
    backend.search(measured, [9, 0, 0, 0])
    assert params(double)["hnsw_ef"] == 77


def test_a_better_graph_is_built(double: Double, make_backend: MakeBackend) -> None:
    double.candidates = 4_000
    double.unsettled = 2
    recall = filled(make_backend()).optimize(SPEC)
    assert recall is not None
    assert recall.setting == {"hnsw_ef": 2_048}
    assert recall.reached
    assert double.links == {"wvi__blog": 32}
    assert double.unsettled == 0


def test_a_graph_that_the_site_chose_stays(
    double: Double, make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    double.candidates = 4_000
    with caplog.at_level(logging.WARNING):
        recall = filled(make_backend(HNSW={"m": 8})).optimize(SPEC)
    assert recall is not None
    assert not recall.reached
    assert "Set HNSW" in recall.advice
    assert recall.advice in caplog.text
    assert double.links == {}


def is_exact(request: Request) -> bool:
    return bool((request.body.get("params") or {}).get("exact"))


def test_a_server_that_refuses_exact_searches_is_not_measured(
    double: Double, make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend = filled(make_backend())
    double.fault = lambda request: (
        Fault(status=403, says="Forbidden: exact search is not allowed")
        if is_exact(request)
        else None
    )
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert (recall.setting, recall.is_measured) == ({"hnsw_ef": 2_048}, False)
    assert "exact search is not allowed" in recall.advice
    assert "If they are too slow, set HNSW_EF." in recall.advice
    assert "The recall of blog could not be measured" in caplog.text


def strict(seconds: int) -> Callable[[Request], Fault | None]:
    """A server whose strict mode has a ``max_timeout``."""

    def fault(request: Request) -> Fault | None:
        asked = request.query.get("timeout", "0")
        says = f'Bad request: Limit exceeded {asked} > {seconds} for "timeout".'
        return Fault(status=400, says=says) if int(asked) > seconds else None

    return fault


def test_a_strict_server_is_measured(double: Double, make_backend: MakeBackend) -> None:
    backend = filled(make_backend())
    double.fault = strict(60)
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert recall.is_measured


def test_a_stricter_server_is_not_measured(double: Double, make_backend: MakeBackend) -> None:
    backend = filled(make_backend())
    double.fault = strict(10)
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert (recall.setting, recall.is_measured) == ({"hnsw_ef": 2_048}, False)
    assert "Limit exceeded 60 > 10" in recall.advice


def test_a_server_is_asked_for_whole_seconds(double: Double, make_backend: MakeBackend) -> None:
    backend = filled(make_backend(TIMEOUT=2.5, WRITE_TIMEOUT=7.5))
    asked: list[str] = []

    def fault(request: Request) -> None:
        if "timeout" in request.query:
            asked.append(request.query["timeout"])

    double.fault = fault
    backend.search(SPEC, [9, 0, 0, 0])
    backend.drop(SPEC)
    assert set(asked) == {"3"}


@pytest.mark.parametrize("grpc", [False, True])
def test_exact_searches_may_take_longer_than_the_time_out(
    double: Double,
    make_backend: MakeBackend,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    grpc: bool,
) -> None:
    monkeypatch.setattr(approximate, "SAMPLE", 1)
    if grpc:
        double = request.getfixturevalue("shared_double").double
        port = request.getfixturevalue("shared_grpc_port")
        make_backend = _over_grpc(request, make_backend, port)
    backend = filled(make_backend(TIMEOUT=1))
    backend.delete(SPEC, [UUID(int=0)])  # the zero vector, which has no mixture with itself
    answer = double.answer

    def slow(request: Request) -> Any:
        if is_exact(request):
            threading.Event().wait(1.5)
        return answer(request)

    monkeypatch.setattr(double, "answer", slow)
    recall = backend.optimize(SPEC)
    backend.drop(SPEC)
    assert recall is not None
    assert recall.questions == 2


def test_exact_searches_that_do_not_end_are_told(
    double: Double, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approximate, "_MOST_SECONDS", 2)
    backend, ended = filled(make_backend(TIMEOUT=1)), threading.Event()
    double.fault = lambda request: Fault(wait=ended) if is_exact(request) else None
    recall = backend.optimize(SPEC)
    ended.set()
    assert recall is not None
    assert (recall.setting, recall.is_measured) == ({"hnsw_ef": 2_048}, False)
    assert "2 s were enough for 0 searches that compare every record of blog" in recall.advice


@pytest.mark.parametrize("name", ["search", "asearch"])
def test_a_filter_that_leaves_out_what_is_near(
    double: Double, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As in a large collection, where a filter keeps more than is compared one by one."""
    monkeypatch.setattr(searching, "EXACT_UP_TO", 10)
    backend = filled(make_backend())
    double.candidates = 1_280
    spec = replace(SPEC, recall=Recall(setting={"hnsw_ef": 128}, records=100_000))

    def search(least: int) -> list[int]:
        double.requests.clear()
        asked = {"filter": Q(n__gte=least), "limit": 3}
        method = getattr(backend, name)
        found = method(spec, [0, 0, 0, 0], **asked)
        matches = asyncio.run(found) if name == "asearch" else found
        return [match.id.int for match in matches]

    # A tenth is seen: 0 to 9, and 97 to 106.
    assert search(150) == [150, 151, 152]
    sent = [each.body["params"] for each in double.requests if each.path.endswith("/query")]
    assert [(each["hnsw_ef"], each["exact"]) for each in sent] == [
        (128, False),
        (128, False),
        (2_048, False),
    ]
    assert search(0) == [0, 1, 2]
