"""Measures indexing content, and searching it from a query's text to objects, on SQLite.

Run with ``python -m benchmarks.end_to_end``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, isolated, number, print_table, seconds, size, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNTS = (1_000, 3_000) if QUICK else (1_000, 10_000, 50_000, 100_000)
SEARCHES = 30
#: How often each number of documents is indexed from nothing; the larger ones only once.
REPEATS = 1 if QUICK else 3
REPEATED_UP_TO = 10_000

#: Figures of wagtail-vector-index of March 2025, measured earlier on two cores with vectors of
#: the same size: seconds of a search, bytes of memory, documents a second, and seconds of an
#: unchanged second run.
SEARCH_THEN = {1_000: 1.0, 10_000: 22.7, 50_000: 421.0}
MEMORY_THEN = {10_000: 600e6, 50_000: 3.2e9}
RATE_THEN = 347.0
UNCHANGED_THEN = {10_000: 24.6}

#: The most seconds that a search may take, and the most queries.
SEARCH_GOALS = {10_000: 4e-3, 100_000: 9e-3}
QUERIES_GOAL = 5
#: The growth from 10,000 to 100,000 objects of what a search does outside the vector backend. It
#: should not grow, but the database has a deeper tree to walk through, and finds less of it cached.
GROWTH_OUTSIDE = 1.5


@dataclass(kw_only=True)
class Measured:
    """The measurements at one number of documents."""

    count: int
    searches: list[float] = field(default_factory=list)
    #: The processor's seconds of the same searches that were not the vector backend's.
    outside: list[float] = field(default_factory=list)
    queries: int = 0
    firsts: list[float] = field(default_factory=list)
    indexing: list[float] = field(default_factory=list)
    unchanged: list[float] = field(default_factory=list)
    memory: float = 0

    @property
    def search(self) -> float:
        return statistics.median(self.searches)

    @property
    def rates(self) -> list[float]:
        return sorted(self.count / taken for taken in self.indexing)


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    tables = {}
    for kind in ("objects", "pages"):
        measured = [measure(kind, count) for count in COUNTS]
        show(kind, measured)
        # It is not known whether the older figures are of pages. Plain objects are compared with
        # them.
        tables[f"End to end, {kind}"] = goals(measured, beside_then=kind == "objects")
    return tables


def measure(kind: str, count: int) -> Measured:
    """Index some content from nothing several times, and search it."""
    result = Measured(count=count)
    with tempfile.TemporaryDirectory() as folder:
        content, database = Path(folder, "content.sqlite3"), Path(folder, "site.sqlite3")
        isolated(processes.make, str(content), kind, count)
        for _ in range(REPEATS if count <= REPEATED_UP_TO else 1):
            shutil.copy(content, database)
            arguments = (str(database), kind, count)
            first = isolated(processes.index, *arguments)
            again = isolated(processes.index, *arguments)
            assert (first["written"], again["written"]) == (count, 0)
            found = isolated(processes.search, *arguments, SEARCHES)
            result.indexing.append(first["seconds"])
            result.unchanged.append(again["seconds"])
            result.firsts.append(found["first"])
            result.searches += found["seconds"]
            result.outside += found["outside"]
            result.queries = max(result.queries, found["queries"])
            result.memory = max(result.memory, *(step["peak"] for step in (first, again, found)))
            for path in Path(folder).glob("site.sqlite3*"):
                path.unlink()
    return result


def show(kind: str, measured: list[Measured]) -> None:
    """Print the measurements beside the older project's figures."""
    print(f"\n### End to end, {kind}: ours (the older project)\n")
    print("| documents | search | first search | documents/s | unchanged run | memory |")
    print("|---|---|---|---|---|---|")
    for one in measured:
        rates = [
            number(rate)
            for rate in (statistics.median(one.rates), *one.rates[:: len(one.rates) - 1 or 1])
        ]
        cells: list[str] = [
            f"{one.count:,}",
            seconds(one.searches) + _then(SEARCH_THEN, one.count, "{:g} s"),
            seconds(one.firsts),
            f"{rates[0]} ({' – '.join(rates[1:])})" + f" ({RATE_THEN:g})" * (one.count == 10_000),
            seconds(one.unchanged) + _then(UNCHANGED_THEN, one.count, "{:g} s"),
            size(one.memory) + _then(MEMORY_THEN, one.count, "{:.0f} MB", 1e-6),
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def _then(figures: dict[int, float], count: int, form: str, factor: float = 1.0) -> str:
    return f" ({form.format(factor * figures[count])})" if count in figures else ""


def goals(measured: list[Measured], *, beside_then: bool) -> list[Row]:
    """Return the goals: beside the older project at 10,000, and beside the smaller indexes."""
    rows = [_growth(smaller, larger) for smaller, larger in pairwise(measured)]
    at = {one.count: one for one in measured}
    rows += [row for one in measured for row in _of_a_search(one)]
    if {10_000, 100_000} <= at.keys():
        rows.append(_growth_outside(at[10_000], at[100_000]))
    if beside_then and 10_000 in at:
        rows += _beside_then(at[10_000])
    return rows


def _growth(smaller: Measured, larger: Measured) -> Row:
    return Row(
        what=f"search at {larger.count:,}",
        ours=seconds(larger.searches),
        other=f"at {smaller.count:,}: {seconds(smaller.searches)}",
        ratio=larger.search / smaller.search,
        # At small sizes, the fixed cost of a search and noise dominate.
        at_most=None if QUICK else larger.count / smaller.count,
        note="no faster than the number of documents",
    )


def _of_a_search(one: Measured) -> Iterator[Row]:
    if goal := SEARCH_GOALS.get(one.count):
        yield Row(
            what=f"search at {one.count:,}",
            ours=seconds(one.searches),
            other=f"goal: {1e3 * goal:g} ms",
            ratio=one.search / goal,
            at_most=1,
        )
    yield Row(
        what=f"queries of a search at {one.count:,}",
        ours=str(one.queries),
        other=f"goal: {QUERIES_GOAL}",
        ratio=one.queries / QUERIES_GOAL,
        at_most=1,
    )


def _growth_outside(smaller: Measured, larger: Measured) -> Row:
    outside = statistics.median(smaller.outside), statistics.median(larger.outside)
    return Row(
        what=f"processor's time of a search at {larger.count:,}, without the vector backend",
        ours=seconds(larger.outside),
        other=f"at {smaller.count:,}: {seconds(smaller.outside)}",
        ratio=outside[1] / outside[0],
        at_most=GROWTH_OUTSIDE,
    )


def _beside_then(one: Measured) -> list[Row]:
    rate, unchanged = statistics.median(one.rates), statistics.median(one.unchanged)
    at = f"at {one.count:,}"

    def row(what: str, ours: Any, other: str, ratio: float, at_most: float) -> Row:
        return Row(
            what=f"{what} {at}", ours=ours, other=f"then: {other}", ratio=ratio, at_most=at_most
        )

    search_then, unchanged_then = SEARCH_THEN[one.count], UNCHANGED_THEN[one.count]
    memory_then = MEMORY_THEN[one.count]
    return [
        row("search", seconds(one.searches), f"{search_then} s",
            one.search / search_then, 1 / 1_000),
        row("seconds a document, indexing", seconds([1 / rate for rate in one.rates]),
            seconds([1 / RATE_THEN]), RATE_THEN / rate, 1 / 10),
        row("unchanged run", seconds(one.unchanged), f"{unchanged_then} s",
            unchanged / unchanged_then, 1 / 20),
        row("memory", size(one.memory), size(memory_then), one.memory / memory_then, 1 / 3),
    ]  # fmt: skip


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
