"""Which setting searches use, and how filtered searches end, on a double that sees only a part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from plugins.weaviate_backend.tests.weaviate_servers import Double
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend, schema, searching
from wagtail_vector_index.contract import EXACT, Recall, approximate

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(name="some", dimensions=4, metric="euclidean", fields={"n": "int"})
COUNT = 200


@pytest.fixture(autouse=True)
def _even_small_collections_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "LEAST_RECORDS", 1)
    monkeypatch.setattr(approximate, "SAMPLE", 20)
    # As if only so few were compared one by one, by the server and by us.
    for module in (schema, searching):
        monkeypatch.setattr(module, "EXACT_UP_TO", 60)


def filled(backend: WeaviateBackend) -> WeaviateBackend:
    backend.drop(SPEC)
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


def graph(server: Double, kind: str = "hnsw") -> Any:
    import httpx

    schema = httpx.get(f"{server.options['host']}/v1/schema/Wagtail_some").json()
    index = schema["vectorConfig"]["wagtail"]["vectorIndexConfig"]
    return index["hnsw"] if kind == "dynamic" else index


def found(backend: WeaviateBackend, spec: CollectionSpec, least: int | None = None) -> list[int]:
    keep = None if least is None else Q(n__gte=least)
    return [match.id.int for match in backend.search(spec, [0, 0, 0, 0], limit=3, filter=keep)]


def test_the_cheapest_setting_that_is_enough(server: Double, make_backend: Make) -> None:
    server.configure(candidates=500)
    backend = filled(make_backend())
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert (recall.setting, recall.reached, recall.records) == ({"ef": 512}, True, COUNT)
    # The server itself keeps the setting, for all processes.
    assert graph(server)["ef"] == 512
    assert found(make_backend(), SPEC) == [0, 1, 2]
    server.fail()
    assert backend.measure(replace(SPEC, recall=recall)) == recall
    assert "PUT schema" not in server.calls


def test_of_a_dynamic_index(server: Double, make_backend: Make) -> None:
    backend = filled(make_backend(index="dynamic"))
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert recall.setting == {"ef": -1}
    assert graph(server, "dynamic")["ef"] == -1


def test_what_to_do_if_nothing_is_enough(server: Double, make_backend: Make) -> None:
    server.configure(candidates=1_000)
    recall = asyncio.run(filled(make_backend(ef=200)).aoptimize(SPEC))
    assert recall is not None
    assert recall.setting == {"ef": 200}
    assert not recall.reached
    assert "EF_CONSTRUCTION" in recall.advice
    assert graph(server)["ef"] == 200


def exact_searches_of(backend: WeaviateBackend, before: Callable[[], Any]) -> None:
    """Call something before each exact search."""
    search = backend._search

    def wrapped(spec: CollectionSpec, *asked: Any) -> Any:
        if spec.setting == EXACT:
            before()
        return search(spec, *asked)

    backend._search = wrapped  # type: ignore[method-assign]


@pytest.mark.parametrize("requests", [1, 4], ids=["one slow request", "several"])
def test_exact_searches_may_take_longer_than_the_time_out(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    monkeypatch.setattr(approximate, "SAMPLE", 1)
    backend = filled(make_backend(timeout=4.0))
    backend.delete(SPEC, [UUID(int=0)])  # the zero vector, which has no mixture with itself
    fault = {"kind": "delay", "seconds": 5.2 / requests, "times": requests}
    exact_searches_of(backend, lambda: server.fail(fault))
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert recall.questions == 2


def test_exact_searches_that_do_not_end_are_told(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approximate, "_MOST_SECONDS", 2)
    backend = filled(make_backend(timeout=1.0))
    exact_searches_of(backend, lambda: server.fail({"kind": "delay", "seconds": 5}))
    recall = backend.optimize(SPEC)
    assert recall is not None
    assert (recall.setting, recall.is_measured) == ({"ef": 4_096}, False)
    assert "2 s were enough for 0 searches that compare every record of some" in recall.advice
    assert "If they are too slow, set EF." in recall.advice
    assert graph(server)["ef"] == 4_096


@pytest.mark.parametrize(
    ("options", "settings"),
    [({"index": "flat"}, []), ({"ef": 77}, [{"ef": 77}]), ({"ef": -1}, [{"ef": -1}])],
)
def test_settings_that_the_site_chose(
    make_backend: Make, options: dict[str, Any], settings: list[Any]
) -> None:
    assert [*make_backend(**options)._search_settings(SPEC)] == settings


def test_a_target_out_of_range(make_backend: Make) -> None:
    with pytest.raises(ValueError, match="'RECALL' must be from 0.5 to 1"):
        make_backend(recall=2)


def test_a_filter_that_leaves_out_what_is_near(server: Double, make_backend: Make) -> None:
    """As in a large collection, where a filter keeps more than is compared one by one."""
    backend = filled(make_backend())
    server.configure(candidates=500)
    large = replace(SPEC, recall=Recall(setting={"ef": -1}, records=100_000))
    # A fifth is seen: 0 to 19, 97 to 116, and 194 to 199.
    assert found(backend, SPEC, 20) == [97, 98, 99]
    assert found(backend, large, 20) == [20, 21, 22]
    # So few are compared one by one.
    server.fail()
    assert found(backend, large, 150) == [150, 151, 152]
    assert server.calls.count("Search") == 1


def test_records_too_large_for_one_message_are_compared_in_parts(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "EXACT_UP_TO", COUNT)
    backend = filled(make_backend())
    server.configure(candidates=500)
    said = "CLIENT: Received message larger than max (110595072 vs. 104858000)"
    # The first two searches by the index find a fifth, so the third reads all records.
    server.fail({"kind": "429", "on": "Search", "at": 2, "text": said})
    matches = backend.search(SPEC, [0, 0, 0, 0], limit=50)
    assert [match.id.int for match in matches] == [*range(50)]
    assert server.calls.count("Search") > 3


def test_equal_scores_at_the_end_of_an_exact_search(make_backend: Make) -> None:
    backend = make_backend()
    backend.create(SPEC)
    ids = [UUID(int=row) for row in range(50)]
    backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=[[1.0, 0.0, 0.0, 0.0]] * 50))
    exactly = SPEC.searched_with({"exact": 1})
    assert found(backend, exactly) == [0, 1, 2]
