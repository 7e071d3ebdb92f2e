"""Every asynchronous method does what its synchronous twin does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from threading import get_ident
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.db.models import Q

from wagtail_vector_index.contract import METRICS, CollectionSpec, Match, Metric, RecordBatch

from .blocking import blocking_calls
from .capabilities import THREAD_SENSITIVE
from .event_loops import AsyncHarness, scanned
from .examples import id_of, random_vectors, sorted_ids
from .expect import expect, expect_equal, expect_score
from .rules import about

__all__ = ["AsyncTests"]

T = TypeVar("T")

QUERY = [1.0, 0.5, -0.5, 2.0]
THREADS = 4
#: More calls at once than most pools have connections.
CROWD = 100


class AsyncTests(AsyncHarness):
    def filled(self, metric: Metric | None = None) -> CollectionSpec:
        spec = self.collection(metric, fields={"row": "int"})
        metadata = [{"row": row} for row in range(30)]
        batch = RecordBatch.of(ids=sorted_ids(30), vectors=random_vectors(30, 4), metadata=metadata)
        self.backend.upsert(spec, batch)
        return spec

    @about("asynchronous-twins")
    @pytest.mark.parametrize("metric", METRICS)
    def test_asearch(self, metric: Metric) -> None:
        spec = self.filled(metric)
        keep = Q(row__lt=10) | ~Q(row__lt=20)
        variants: list[dict[str, Any]] = [
            {},
            {"limit": 3},
            {"limit": 100},
            {"filter": keep, "limit": 100},
            {"filter": ~keep},
            {"filter": Q(row__in=[])},
            {"min_score": -2.5, "limit": 100},
            {"min_score": 0.5, "limit": 100, "filter": keep},
        ]
        for asked in variants:
            found = self.in_loop(self.backend.asearch(spec, QUERY, **asked))
            expected = self.backend.search(spec, QUERY, **asked)
            same_matches(found, expected, f"asearch({asked}) finds the same as search().")

    @about("asynchronous-twins")
    def test_acount_aget_and_ascan(self) -> None:
        spec = self.filled()
        ids = sorted_ids(30)[:3]
        for keep in (None, Q(row=1), ~Q(row__gte=5), Q(row__in=[])):
            counted = self.in_loop(self.backend.acount(spec, keep))
            expect_equal(
                counted,
                self.backend.count(spec, keep),
                f"acount({keep}) returns the same as count().",
            )
        got = self.in_loop(self.backend.aget(spec, [*ids, id_of("never"), ids[0]]))
        same_content([got], [self.backend.get(spec, ids)], "aget() returns the same as get().")
        expect_equal(
            len(self.in_loop(self.backend.aget(spec, []))), 0, "aget() of no ids is empty."
        )
        for size in (1, 7, 1_000):
            batches = self.in_loop(scanned(self.backend, spec, size))
            expect(
                max(map(len, batches)) <= size,
                f"ascan(batch_size={size}) returns batches of at most that size.",
            )
            same_content(batches, self.backend.scan(spec), "ascan() returns the same as scan().")

    @about("asynchronous-twins")
    def test_aupsert_and_adelete(self) -> None:
        spec = self.collection(fields={"row": "int"})
        self.cap_batches(records=4)
        ids = sorted_ids(10)
        batch = RecordBatch.of(
            ids=[*ids, ids[0]],
            vectors=random_vectors(11, 4),
            metadata=[{"row": row} for row in range(11)],
        )
        self.in_loop(self.backend.aupsert(spec, batch))
        self.in_loop(self.backend.aupsert(spec, batch[0:0]))
        expect_equal(self.names(spec), ids, "aupsert() writes every part of a batch.")
        expect_equal(
            self.names(spec, Q(row=10)),
            [ids[0]],
            "If an id comes twice in a batch, the last record wins.",
        )
        self.in_loop(self.backend.adelete(spec, iter([*ids[:7], id_of("never")])))
        expect_equal(self.names(spec), ids[7:], "adelete() deletes every part of a batch.")
        self.in_loop(self.backend.adelete(spec, []))
        expect_equal(self.backend.count(spec), 3, "adelete() of no ids deletes nothing.")

    @about("asynchronous-twins")
    def test_acreate_adrop_and_the_rest(self) -> None:
        spec = self.spec()
        self.in_loop(self.backend.acreate(spec))
        self.in_loop(self.backend.acreate(spec))
        expect(
            spec.name in self.in_loop(self.backend.acollections()),
            "acreate() creates a collection.",
        )
        self.put(spec, {"a": QUERY})
        self.in_loop(self.backend.aoptimize(spec))
        expect(self.in_loop(self.backend.ahealth()).ok, "ahealth() is ok if the backend works.")
        expect_equal(self.backend.count(spec), 1, "acreate() and aoptimize() keep the records.")
        self.in_loop(self.backend.adrop(spec))
        self.in_loop(self.backend.adrop(spec))
        listed = self.in_loop(self.backend.acollections())
        expect(spec.name not in listed, "adrop() drops a collection.")
        self.in_loop(self.backend.aclose())
        self.in_loop(self.backend.acreate(spec))
        expect_equal(self.backend.count(spec), 0, "A backend can be used after aclose().")

    @about("event-loops-come-and-go")
    def test_async_many_at_once_in_several_loops(self) -> None:
        spec = self.filled()
        queries = random_vectors(8, 4, seed=1)

        async def searches() -> list[list[Match]]:
            asked = (self.backend.asearch(spec, query, limit=5) for query in queries)
            return list(await asyncio.gather(*asked))

        for _ in range(3):
            for query, found in zip(queries, self.in_loop(searches()), strict=True):
                expected = self.backend.search(spec, query, limit=5)
                same_matches(found, expected, "asearch() works in each new event loop.")

    @about("asynchronous-twins")
    def test_async_more_at_once_than_a_pool_has_connections(self) -> None:
        spec = self.filled()

        async def searches() -> list[list[Match]]:
            asked = (self.backend.asearch(spec, QUERY, limit=1) for _ in range(CROWD))
            return list(await asyncio.gather(*asked))

        rule = "Of many calls at once, those that must wait for a connection do so."
        expected = self.backend.search(spec, QUERY, limit=1)
        for found in self.in_loop(searches()):
            same_matches(found, expected, rule)

    @about("asynchronous-twins")
    def test_async_calls_in_the_thread_of_djangos_connections(self) -> None:
        self.need(THREAD_SENSITIVE, self.backend.thread_sensitive)
        spec = self.filled()
        used = self.threads_of("_upsert", "_search", "_count", "_get", "_delete")

        async def connections_thread() -> int:
            await self.everything(spec)
            return await sync_to_async(get_ident, thread_sensitive=True)()

        right = self.in_loop(connections_thread())
        expected = {method: {right} for method in used}
        rule = (
            "With thread_sensitive, asynchronous calls run in the thread of Django's connections."
        )
        expect_equal(used, expected, rule)

    @about("event-loops-are-not-blocked")
    def test_async_calls_leave_the_event_loop_free(self) -> None:
        spec = self.filled()
        used = self.threads_of("_upsert", "_search", "_count", "_get", "_delete")

        async def loops_thread() -> tuple[int, set[str]]:
            with blocking_calls() as called:
                await self.everything(spec)
            return get_ident(), called

        wrong, called = self.in_loop(loops_thread())
        methods = {method for method, threads in used.items() if wrong in threads}
        blocking = sorted(methods | called)
        rule = "Calls that wait for the store do not run in the thread of the event loop."
        expect_equal(blocking, [], rule)

    async def everything(self, spec: CollectionSpec) -> None:
        """Call each asynchronous method for records once."""
        batch = RecordBatch.of(ids=[id_of("a")], vectors=[QUERY])
        await self.backend.aupsert(spec, batch)
        await self.backend.asearch(spec, QUERY)
        await self.backend.acount(spec)
        await self.backend.aget(spec, batch.uuids)
        await self.backend.adelete(spec, batch.uuids)

    def threads_of(self, *methods: str) -> dict[str, set[int]]:
        """Return sets that will hold the threads in which these methods run."""
        used: dict[str, set[int]] = {}
        for method in methods:
            used[method] = set()
            original = getattr(self.backend, method)

            def run(*arguments: Any, method: str = method, original: Any = original) -> Any:
                used[method].add(get_ident())
                return original(*arguments)

            self.replace(method, run)
        return used


def same_matches(actual: list[Match], expected: list[Match], rule: str) -> None:
    expect_equal([match.id for match in actual], [match.id for match in expected], rule)
    for one, other in zip(actual, expected, strict=True):
        expect_score(one.score, other.score, rule)


def same_content(actual: Iterable[RecordBatch], expected: Iterable[RecordBatch], rule: str) -> None:
    one, other = (
        {record.id: record for batch in batches for record in batch}
        for batches in (actual, expected)
    )
    expect_equal(one, other, rule)
