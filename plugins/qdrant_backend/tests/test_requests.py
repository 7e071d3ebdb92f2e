"""The requests contain the options and the shape of the collection."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import Q

from plugins.qdrant_backend.tests.conftest import MakeBackend
from plugins.qdrant_backend.tests.double import Double, Fault, Request
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend, searching
from wagtail_vector_index.backends.qdrant.filtering import condition
from wagtail_vector_index.backends.qdrant.naming import vector_name
from wagtail_vector_index.contract import parse_filter
from wagtail_vector_index.exceptions import BackendRefused, BackendUnavailable, InvalidFilter
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

FIELDS: Any = {
    "object": "str", "n": "int", "price": "float", "open": "bool", "day": "datetime",
    "tags": "list[str]", "numbers": "list[int]",
}  # fmt: skip
SPEC = CollectionSpec(name="blog", dimensions=4, metric="dot", fields=FIELDS)
QUERY = [1.0, 2.0, 3.0, 4.0]


def batch_of(count: int, metadata: dict[str, Any] | None = None) -> RecordBatch:
    return RecordBatch.of(
        ids=sorted_ids(count),
        vectors=random_vectors(count, 4),
        metadata=[metadata or {}] * count,
    )


def bodies(double: Double, ending: str, method: str = "POST") -> list[dict[str, Any]]:
    return [
        request.body
        for request in double.requests
        if request.path.endswith(ending) and request.method == method
    ]


def created(double: Double) -> dict[str, Any]:
    (body,) = bodies(double, "wvi__blog", "PUT")
    return body


def test_plain_collection(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    body = {key: value for key, value in created(double).items() if value is not None}
    assert body == {
        "vectors": {vector_name(SPEC): {"size": 4, "distance": "Dot"}},
        "optimizers_config": {"indexing_threshold": 0},
    }


def test_every_field_has_a_typed_index(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    made = {body["field_name"]: body["field_schema"] for body in bodies(double, "/index", "PUT")}
    assert made == {
        "f_object": "keyword", "f_n": "integer", "f_price": "float", "f_open": "bool",
        "f_day": "datetime", "f_tags": "keyword", "f_numbers": "integer",
    }  # fmt: skip
    double.requests.clear()
    backend.create(SPEC)
    assert [str(request) for request in double.requests] == [
        "GET /collections/NAME",
        "GET /aliases",
    ]


def test_cluster_and_storage(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(
        SHARD_NUMBER=3, REPLICATION_FACTOR=2, WRITE_CONSISTENCY_FACTOR=2, ON_DISK=True,
        HNSW={"m": 32, "on_disk": True},
    )  # fmt: skip
    backend.create(SPEC)
    body = created(double)
    assert body["shard_number"] == 3
    assert body["replication_factor"] == 2
    assert body["write_consistency_factor"] == 2
    assert body["vectors"][vector_name(SPEC)]["on_disk"] is True
    assert {k: v for k, v in body["hnsw_config"].items() if v is not None} == {
        "m": 32, "on_disk": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"QUANTIZATION": "scalar"}, {"scalar": {"type": "int8", "always_ram": True}}),
        (
            {"QUANTIZATION": "binary", "QUANTIZATION_ALWAYS_RAM": False},
            {"binary": {"always_ram": False}},
        ),
        (
            {"QUANTIZATION": "product", "QUANTIZATION_COMPRESSION": "x32"},
            {"product": {"compression": "x32", "always_ram": True}},
        ),
    ],
)
def test_quantization(
    double: Double, make_backend: MakeBackend, settings: Any, expected: dict[str, Any]
) -> None:
    backend = make_backend(**settings, OVERSAMPLING=2.5, RESCORE=True)
    backend.create(SPEC)
    assert without_none(created(double)["quantization_config"]) == expected
    backend.upsert(SPEC, batch_of(20))
    assert len(backend.search(SPEC, QUERY)) == 10
    assert len(backend.search(SPEC, QUERY, filter=Q(n__isnull=True))) == 10
    approximate, exact = (body["params"] for body in bodies(double, "/query"))
    given = {"rescore": True, "oversampling": 2.5}
    assert approximate == {"exact": False, "quantization": {"ignore": False, **given}}
    assert exact == {"exact": True, "quantization": {"ignore": True, **given}}


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


def test_search_parameters(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(HNSW_EF=77, EXACT=True, CONSISTENCY="majority")
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(20))
    backend.search(SPEC, QUERY, filter=Q(n__isnull=True))
    assert bodies(double, "/count") == []
    (request,) = (each for each in double.requests if each.path.endswith("/query"))
    assert without_none(request.body["params"]) == {"hnsw_ef": 77, "exact": True}
    assert request.query == {"consistency": "majority", "timeout": "5"}


def test_consistency_is_a_number(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(CONSISTENCY=2)
    backend.create(SPEC)
    asyncio.run(backend.asearch(SPEC, QUERY))
    assert double.requests[-1].query["consistency"] == "2"


def test_search_without_a_filter_is_one_request(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(50))
    double.requests.clear()
    assert len(backend.search(SPEC, QUERY)) == 10
    (request,) = double.requests
    assert request.body["params"]["exact"] is False
    assert request.body["with_payload"] is False


def test_many_matches_are_searched_by_the_index(
    double: Double, backend: QdrantBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "EXACT_UP_TO", 20)
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(50, {"n": 1}))
    double.requests.clear()
    assert len(backend.search(SPEC, QUERY, filter=Q(n=1))) == 10
    assert [body["params"]["exact"] for body in bodies(double, "/query")] == [False]


def test_index_that_comes_up_short(
    double: Double, backend: QdrantBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "EXACT_UP_TO", 20)
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(50, {"n": 1}))

    def short(request: Request) -> Fault | None:
        if request.path.endswith("/query") and not request.body["params"]["exact"]:
            found = [{"id": str(sorted_ids(1)[0]), "version": 0, "score": 1.0}]
            answer = {"result": {"points": found}, "status": "ok", "time": 0.0}
            return Fault(body=json.dumps(answer).encode())
        return None

    double.fault = short
    double.requests.clear()
    for filter in (Q(n=1), None):
        assert len(backend.search(SPEC, QUERY, filter=filter)) == 10
    exact = [body["params"]["exact"] for body in bodies(double, "/query")]
    assert exact == [False, True, False, True]


def test_limit_beyond_all_records(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    assert backend.search(SPEC, QUERY, limit=10**9) == []
    backend.upsert(SPEC, batch_of(50))
    double.requests.clear()
    assert len(backend.search(SPEC, QUERY, limit=10**9)) == 50
    assert [body["limit"] for body in bodies(double, "/query")] == [50 + searching.BEYOND]


def test_payload(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    metadata = {
        "object": "1", "n": None, "price": 2, "day": "2020-01-02T01:00:00.000001+02:00",
        "tags": [], "numbers": [1, 2], "metadata": {"x": 1.0}, "f_n": 5,
    }  # fmt: skip
    backend.upsert(SPEC, batch_of(1, metadata))
    ((payload,),) = (body["batch"]["payloads"] for body in bodies(double, "/points", "PUT"))
    assert json.loads(payload.pop("metadata")) == metadata
    assert payload == {
        "f_object": "1", "f_price": 2.0, "f_day": "2020-01-01T23:00:00.000001+00:00",
        "f_numbers": [1, 2],
    }  # fmt: skip
    (record,) = backend.get(SPEC, sorted_ids(1))
    assert record.metadata == metadata


def test_directions_are_sent_with_the_length_1(double: Double, backend: QdrantBackend) -> None:
    """Servers do not normalise what is shorter than some 0.0003."""
    spec = replace(SPEC, metric="cosine")
    backend.create(spec)
    vectors = [[length * each for each in QUERY] for length in (1e-9, 1.0, 1e20)]
    batch = RecordBatch.of(ids=sorted_ids(3), vectors=vectors, metadata=[{}] * 3)
    backend.upsert(spec, batch)
    backend.search(spec, vectors[0], limit=3)
    (written,), (asked,) = bodies(double, "/points", "PUT"), bodies(double, "/points/query")
    sent = [*written["batch"]["vectors"][vector_name(spec)], asked["query"]["nearest"]]
    assert [math.hypot(*each) for each in sent] == pytest.approx([1.0] * 4)


def test_requests_are_bounded_by_bytes(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(BATCH_BYTES=20_000)
    spec = CollectionSpec(name="blog", dimensions=4, fields={"text": "str"})
    backend.create(spec)
    sizes = [10, 1_500, 10, 1_500, 30_000, 10]
    metadata = [{"text": '"' * size} for size in sizes]
    batch = RecordBatch.of(ids=sorted_ids(6), vectors=random_vectors(6, 4), metadata=metadata)
    backend.upsert(spec, batch)
    written = bodies(double, "/points", "PUT")
    assert max(len(json.dumps(body)) for body in written if len(body["batch"]["ids"]) > 1) < 20_000
    assert sum(len(body["batch"]["ids"]) for body in written) == 6
    assert backend.count(spec) == 6


def test_sites_do_not_meet(make_backend: MakeBackend) -> None:
    one, other = make_backend(COLLECTION_PREFIX="one"), make_backend(COLLECTION_PREFIX="one_b")
    for backend in (one, other):
        backend.create(SPEC)
    one.upsert(SPEC, batch_of(3))
    assert one.collections() == other.collections() == ["blog"]
    assert (one.count(SPEC), other.count(SPEC)) == (3, 0)
    one.drop(SPEC)
    assert (one.collections(), other.collections()) == ([], ["blog"])


def test_optimize_waits_for_the_index(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(INDEXING_THRESHOLD=123)
    backend.create(SPEC)
    for optimize in (
        lambda: backend.optimize(SPEC),
        lambda: asyncio.run(backend.aoptimize(SPEC)),
    ):
        double.unsettled = 3
        optimize()
        assert double.unsettled == 0
    assert double.thresholds["wvi__blog"] == 123


def test_optimize_that_takes_too_long(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend(INDEXING_TIMEOUT=1)
    backend.create(SPEC)
    double.status = "yellow"
    with pytest.raises(BackendUnavailable, match="is still indexing 'blog' after 1 s"):
        backend.optimize(SPEC)


def test_optimize_that_fails(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    double.status = "red"
    with pytest.raises(BackendRefused, match="cannot index 'blog'.*it cannot be built"):
        backend.optimize(SPEC)


def test_health(double: Double, backend: QdrantBackend) -> None:
    from importlib.metadata import version

    double.version = version("qdrant-client")
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(5))
    for health in (backend.health(), asyncio.run(backend.ahealth())):
        assert health.ok
        assert health.message == f"Qdrant {double.version}, 1 collections"
        assert health.details == {
            "client": version("qdrant-client"),
            "server": double.version,
            "versions": "compatible",
            "collections": "1",
            "blog": "5 records, green",
        }


def test_health_of_versions_far_apart(double: Double, backend: QdrantBackend) -> None:
    double.version = "1.99.0"
    health = backend.health()
    assert health.ok
    assert "more than one minor version apart" in health.details["versions"]


@pytest.mark.parametrize(("version", "says"), [("1.9.2", "too old: update"), ("x", "be read")])
def test_health_of_an_old_server(
    double: Double, backend: QdrantBackend, version: str, says: str
) -> None:
    double.version = version
    health = backend.health()
    assert not health.ok
    assert says in health.message


def test_health_of_a_broken_collection(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    double.status = "red"
    health = backend.health()
    assert not health.ok
    assert "blog is red" in health.message


def test_health_of_a_collection_that_goes_away(double: Double, backend: QdrantBackend) -> None:
    backend.create(SPEC)
    double.fault = lambda request: (
        Fault(status=404, says="Not found: Collection `wvi__blog` doesn't exist!")
        if request.path.endswith("blog")
        else None
    )
    health = backend.health()
    assert not health.ok
    assert "has no collection 'blog'" in health.message


def test_health_in_memory() -> None:
    backend = QdrantBackend("default", QdrantBackend.Options(location=":memory:"))
    assert backend.health().message == "Qdrant's local mode, 0 collections"


def nested(times: int) -> Q:
    """AND in OR in AND, and so on."""
    made = Q(n=0)
    for number in range(1, times):
        made = (made | Q(n=number)) if number % 2 else (made & Q(n__gte=0))
    return made


def test_filter_as_deep_as_can_be(backend: QdrantBackend) -> None:
    backend.create(SPEC)
    backend.upsert(SPEC, batch_of(3, {"n": 0}))
    assert len(backend.search(SPEC, QUERY, filter=nested(40))) == 3
    with pytest.raises(InvalidFilter, match="nested too deeply for Qdrant"):
        backend.search(SPEC, QUERY, filter=nested(60))


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (Q(n=1) & Q(open=True) & ~Q(tags__contains="x"), {"must": 2, "must_not": 1}),
        (Q(n=1) | (Q(n=2) | Q(open=True)), {"should": 3}),
        (~(Q(n=1) & ~Q(n=2)), {"should": 2}),
        (~~Q(n=1), {"must": 1}),
        (~(Q(n=1) | Q(n=2)), {"must_not": 2}),
        (Q(price__in=[1.5, 2.5]), {"should": 2}),
        (~Q(price__in=[1.5, 2.5]), {"must_not": 1}),
    ],
)
def test_filters_are_flat(filter: Q, expected: dict[str, int]) -> None:
    made = condition(parse_filter(filter, FIELDS))
    assert made is not None
    assert {
        key: len(value) for key, value in made.model_dump(exclude_none=True).items()
    } == expected
