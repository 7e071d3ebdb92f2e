"""Which setting searches of an index use, what they find with it, and better indexes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import numpy as np
import psycopg
import pytest
from django.db.models import Q

from plugins.pgvector_backend.tests.conftest import batch_of, connected, indexes
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.pgvector import backend as backend_module
from wagtail_vector_index.backends.pgvector import indexing, searching
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.extension import Extension
from wagtail_vector_index.backends.pgvector.tables import table_name
from wagtail_vector_index.contract import EXACT, Recall, approximate
from wagtail_vector_index.contract import spec as spec_module
from wagtail_vector_index.contract.recall import share_found
from wagtail_vector_index.exceptions import BackendUnavailable

Make = Callable[..., CollectionSpec]

COUNT, DIMENSIONS = 2_000, 8
EXTENSION = Extension(schema="public", version="0.8.0")
ORDINARY = "hnsw {}: m = 16, ef_construction = 64"
LISTS = "ivfflat {}: lists = {}"


def other(alias: str, **options: Any) -> PgvectorBackend:
    return PgvectorBackend("default", PgvectorBackend.Options(database=alias, **options))


def filled(backend: PgvectorBackend, spec: CollectionSpec) -> NumpyBackend:
    """Fill a collection with vectors that have only positive components; return the exact one."""
    random = np.random.default_rng(0)
    batch = RecordBatch.of(
        ids=[UUID(int=row) for row in range(COUNT)],
        vectors=random.uniform(0.1, 1.0, (COUNT, DIMENSIONS)).astype(np.float32),
        metadata=[{"part": row % 4} for row in range(COUNT)],
    )
    exact = NumpyBackend("default", NumpyBackend.Options())
    exact.create(spec)
    for each in (backend, exact):
        each.upsert(spec, batch)
    return exact


def scores(backend: Any, spec: CollectionSpec, query: Any, **asked: Any) -> list[float]:
    return [match.score for match in backend.search(spec, query, **asked)]


def test_a_setting_that_finds_enough(eager_alias: str, make: Make) -> None:
    backend, spec = other(eager_alias), make(fields={"part": "int"})
    exact = filled(backend, spec)
    recall = backend.optimize(spec)
    assert recall is not None
    assert recall.reached
    assert recall.records == COUNT
    assert recall.setting in [{"ef_search": ef} for ef in searching.EF_SEARCH]
    query = np.full(DIMENSIONS, 0.5)
    found, right = scores(backend, spec, query), scores(exact, spec, query)
    assert share_found(found, right) >= 0.9


def test_the_time_out_is_that_of_all_statements_of_a_search(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few records match the filter, so that one by the index precedes the exact statements."""
    backend, spec = other(eager_alias, timeout=10), make(fields={"part": "int"}, metric="dot")
    filled(backend, spec)
    now, read, limits = [0.0], backend._database.read, []

    def slow(*arguments: Any, timeout: float | None = None, **named: Any) -> Any:
        if named.get("collection"):
            limits.append(timeout)
            now[0] += seconds
        return read(*arguments, timeout=timeout, **named)

    monkeypatch.setattr(spec_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(backend_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(backend._database, "read", slow)
    seconds, query = 4, np.full(DIMENSIONS, 0.5)
    assert len(backend.search(spec, query, filter=Q(part=1))) == 10
    assert limits == [10, 6]
    seconds = 11
    with pytest.raises(BackendUnavailable, match="The time to search .* is over"):
        backend.search(spec, query, filter=Q(part=1))


def test_signs_that_are_all_equal_find_nothing(
    eager_alias: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Lists would not help either, so the site's operator learns what does."""
    backend, spec = other(eager_alias, precision="bit"), make(fields={"part": "int"})
    filled(backend, spec)
    with caplog.at_level(logging.WARNING):
        recall = backend.optimize(spec)
    assert recall is not None
    assert not recall.reached
    assert "PRECISION" in recall.advice
    assert recall.advice in caplog.text
    assert indexes(eager_alias, spec) == [ORDINARY.format("bit")]
    backend._optimize(spec)
    assert indexes(eager_alias, spec) == [ORDINARY.format("bit")]


def test_lists_find_what_the_graph_does_not(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay, grow with the collection, and end when the site chooses another graph."""
    monkeypatch.setattr(searching, "EF_SEARCH", (1, 2))
    backend, spec = other(eager_alias, recall=1.0), make(fields={"part": "int"}, dimensions=64)
    backend.upsert(spec, batch_of(5_000, 64))
    recall = backend.optimize(spec)
    assert recall is not None
    assert recall.reached
    assert recall.setting == {"lists": 4, "probes": 5}
    assert indexes(eager_alias, spec) == [LISTS.format("vector", 4)]
    query = np.random.default_rng(1).standard_normal(64)
    searched, exactly = replace(spec, recall=recall), spec.searched_with(EXACT)
    assert scores(backend, searched, query) == scores(backend, exactly, query)
    assert backend.measure(searched) == recall
    backend.upsert(spec, batch_of(3_000, 64, first=5_000, seed=1))
    grown = backend.measure(searched)
    assert grown is not None
    assert grown.setting == {"lists": 8, "probes": 10}
    assert indexes(eager_alias, spec) == [LISTS.format("vector", 8)]
    searched = replace(spec, recall=grown)
    assert other(eager_alias, recall=1.0, ef_search=3).measure(searched) == grown
    chosen = other(eager_alias, recall=1.0, m=8).measure(searched)
    assert chosen is not None
    assert list(chosen.setting) == ["ef_search"]
    assert indexes(eager_alias, spec) == ["hnsw vector: m = 8, ef_construction = 64"]


def test_lists_of_a_small_collection_grow_with_it(eager_alias: str, make: Make) -> None:
    """It was too small to be measured when they were built."""
    backend, spec = other(eager_alias, index="ivfflat"), make(fields={"part": "int"})
    backend.upsert(spec, batch_of(500, 8))
    assert backend.optimize(spec) is None
    backend.upsert(spec, batch_of(4_000, 8, first=500))
    recall = backend.measure(spec)
    assert recall is not None
    assert recall.setting == {"lists": 4, "probes": 5}


def test_an_index_that_cannot_be_replaced_is_measured(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    backend, spec = other(eager_alias, index="ivfflat"), make(fields={"part": "int"})
    backend.upsert(spec, batch_of(2_000, 8))
    recall = backend.optimize(spec)
    backend.upsert(spec, batch_of(4_000, 8, first=2_000))
    full = psycopg.errors.DiskFull("no space left on device")
    monkeypatch.setattr(indexing, "_create", Mock(side_effect=full))
    again = backend.measure(replace(spec, recall=recall))
    assert again is not None
    assert again.reached
    assert again.setting == {"lists": 2, "probes": 5}
    assert "the index stays as it is" in caplog.text


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "Set INDEX to 'none' for exact searches, and run: "),
        ({"m": 24}, "Set INDEX to 'ivfflat', or INDEX to 'none'"),
        ({"ef_search": 9}, "Set EF_SEARCH to more, or INDEX to 'none'"),
        ({"precision": "bit"}, "Set PRECISION to 'vector', or INDEX to 'none'"),
        ({"index": "ivfflat", "probes": 1}, "Set PROBES to more, or INDEX to 'none'"),
    ],
    ids=str,
)
def test_what_to_do_if_no_search_finds_enough(options: dict[str, Any], advice: str) -> None:
    assert other("default", **options).recall_advice.startswith(advice)


def test_lists_that_miss_the_target_are_measured_once(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "EF_SEARCH", (1, 2))
    monkeypatch.setattr(searching, "PROBES", (1, 2))
    backend, spec = other(eager_alias, recall=1.0), make(fields={"part": "int"}, dimensions=64)
    backend.upsert(spec, batch_of(5_000, 64))
    recall = backend.optimize(spec)
    assert recall is not None
    assert not recall.reached
    used: list[Any] = []
    monkeypatch.setattr(backend, "_use_setting", lambda spec, setting: used.append(setting))
    backend.measure(replace(spec, recall=replace(recall, records=1_000)))
    assert used == [{"lists": 4, "probes": n} for n in (1, 2, 2)]


def test_few_probes_of_the_sites_own_replace_no_graph(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They had no effect before."""
    monkeypatch.setattr(searching, "EF_SEARCH", (1, 2))
    options = {"recall": 1.0, "probes": 1}
    backend, spec = other(eager_alias, **options), make(fields={"part": "int"}, dimensions=64)
    backend.upsert(spec, batch_of(5_000, 64))
    backend.optimize(spec)
    assert indexes(eager_alias, spec) == [ORDINARY.format("vector")]


def test_searches_before_the_lists_are_measured(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They still have the setting of the graph, and search the lists thoroughly."""
    monkeypatch.setattr(searching, "PROBES", (1, 1_000))
    backend, spec = other(eager_alias), make(fields={"part": "int"}, dimensions=64)
    backend.upsert(spec, batch_of(5_000, 64))
    other(eager_alias, index="ivfflat")._optimize(spec)
    query = np.random.default_rng(1).standard_normal(64)
    searched = spec.searched_with({"ef_search": 1_000})
    exactly = spec.searched_with(EXACT)
    assert scores(backend, searched, query) == scores(backend, exactly, query)
    assert scores(backend, spec, query) != scores(backend, exactly, query)


def test_a_graph_that_is_in_use_is_dropped_later(
    eager_alias: str, make: Make, database: str, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As during a backup. Until then, it is not known which of both indexes searches read."""
    monkeypatch.setattr(searching, "EF_SEARCH", (1, 2))
    monkeypatch.setattr(indexing, "LONGEST_WAIT_TO_DROP", 10)
    backend, spec = other(eager_alias, recall=1.0), make(fields={"part": "int"}, dimensions=64)
    backend.upsert(spec, batch_of(5_000, 64))
    with connected(server, dbname=database) as another, another.transaction():
        another.execute(f"SELECT FROM {table_name(spec)}")
        recall = backend.optimize(spec)
        assert recall is not None
        assert not recall.is_measured
        assert recall.setting == {"lists": 4, "probes": searching.PROBES[-1]}
        assert "A long transaction uses an old index" in recall.advice
        assert len(indexes(eager_alias, spec)) == 2
        # It holds for a day.
        assert backend.measure(replace(spec, recall=recall)) == recall
        old = replace(recall, measured_at=datetime(2026, 1, 1, tzinfo=UTC))
        again = backend.measure(replace(spec, recall=old))
        assert again is not None
        assert not again.is_measured
    later = backend.measure(replace(spec, recall=old))
    assert later is not None
    assert later.reached
    assert indexes(eager_alias, spec) == [LISTS.format("vector", 4)]


def test_a_graph_that_the_site_chose_stays(eager_alias: str, make: Make) -> None:
    options = {"precision": "bit", "m": 8, "ef_construction": 20}
    backend, spec = other(eager_alias, **options), make(fields={"part": "int"})
    filled(backend, spec)
    recall = backend.optimize(spec)
    assert recall is not None
    assert not recall.reached
    assert indexes(eager_alias, spec) == ["hnsw bit: m = 8, ef_construction = 20"]


def exact_searches_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server take so long for each exact search."""
    exact = searching.exact

    def slow(*arguments: Any, **options: Any) -> searching.Statement:
        statement = exact(*arguments, **options)
        query = f"SELECT found.* FROM ({statement.query}) AS found, pg_sleep({seconds})"
        return replace(statement, query=query)

    monkeypatch.setattr(searching, "exact", slow)
    monkeypatch.setattr(approximate, "SAMPLE", 1)


def test_exact_searches_may_take_longer_than_the_time_out(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, spec = other(eager_alias, timeout=0.5), make(fields={"part": "int"})
    filled(backend, spec)
    exact_searches_take(0.7, monkeypatch)
    recall = backend.optimize(spec)
    assert recall is not None
    assert recall.questions == 2
    with pytest.raises(BackendUnavailable):
        backend.search(spec.searched_with(EXACT), np.full(DIMENSIONS, 0.5))


def test_exact_searches_that_do_not_end_are_told(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, spec = other(eager_alias, timeout=0.5), make(fields={"part": "int"})
    filled(backend, spec)
    exact_searches_take(60, monkeypatch)
    monkeypatch.setattr(approximate, "_MOST_SECONDS", 1)
    recall = backend.optimize(spec)
    assert recall is not None
    assert (recall.setting, recall.is_measured) == ({"ef_search": 1_000}, False)
    assert "1 s were enough for 0 searches that compare every record" in recall.advice
    assert "If they are too slow, set EF_SEARCH." in recall.advice


def test_lists_have_a_setting_too(eager_alias: str, make: Make) -> None:
    backend, spec = other(eager_alias, index="ivfflat"), make(fields={"part": "int"})
    filled(backend, spec)
    recall = backend.optimize(spec)
    assert recall is not None
    assert recall.setting == {"lists": 2, "probes": 5}


@pytest.mark.parametrize("precision", ["vector", "halfvec", "bit"])
def test_a_filter_that_leaves_out_what_is_near(
    eager_alias: str, make: Make, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """As in a large collection, where a filter keeps more than is compared one by one."""
    monkeypatch.setattr(searching, "EXACT_UP_TO", 10)
    backend, spec = other(eager_alias, precision=precision), make(fields={"part": "int"})
    exact = filled(backend, spec)
    backend._optimize(spec)
    near = [match.id.int for match in exact.search(spec, np.ones(DIMENSIONS), limit=1_500)]
    far = sorted(set(range(COUNT)) - set(near))
    moved = backend.get(spec, [UUID(int=row) for row in far])
    batch = replace(moved, metadata=['{"part":7}'] * len(moved))
    for each in (backend, exact):
        each.upsert(spec, batch)
    tuned = replace(spec, recall=Recall(setting={"ef_search": 100}, records=500_000))
    asked = {"filter": Q(part=7), "limit": 5}
    found = scores(backend, tuned, np.ones(DIMENSIONS), **asked)
    assert found == pytest.approx(scores(exact, spec, np.ones(DIMENSIONS), **asked), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "setting", "used"),
    [
        ({}, {}, "100"),
        ({}, {"ef_search": 400}, "400"),
        ({"ef_search": 50}, {}, "50"),
        # What was measured before the site chose.
        ({"ef_search": 50}, {"ef_search": 400}, "50"),
    ],
)
def test_the_sites_own_number_of_candidates_wins(
    options: dict[str, Any], setting: dict[str, float], used: str
) -> None:
    spec = CollectionSpec(name="blog", dimensions=2, recall=Recall(setting=setting))
    statement = searching.approximate(
        EXTENSION, spec, PgvectorBackend.Options(**options), "vector", None, "[1,0]", 26
    )
    assert statement.settings["hnsw.ef_search"] == used


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"index": "none"}, []),
        ({"ef_search": 7}, [{"ef_search": 7}]),
        ({"index": "ivfflat", "probes": 3}, [{"lists": 1, "probes": 3}]),
    ],
)
def test_settings_that_the_site_chose(
    eager_alias: str, make: Make, options: dict[str, Any], settings: list[Any]
) -> None:
    backend, spec = other(eager_alias, **options), make()
    backend._optimize(spec)
    assert backend._search_settings(spec) == settings
