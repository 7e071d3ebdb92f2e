"""Measures hybrid search: its hits among the demo's pages, and its cost at 10,000 pages.

Run with ``python -m benchmarks.hybrid``.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import demo_site
from benchmarks.measure import Row, isolated, number, print_table, verdict
from benchmarks.questions import OTHER_WORDS, SAME_WORDS
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 1_000 if QUICK else 10_000
SEARCHES = 10 if QUICK else 51
#: The numbers of results that count for hits and for ranks.
FIRST, DEEP = 5, 30
#: The ways that hybrid search combines, and that it must never do worse than.
PARTS = ("vector", "Wagtail, or", "Wagtail, and")
#: The most time that the words may add to a search, in milliseconds.
MOST = 100.0

HALVES = {"the words of the page": SAME_WORDS, "other words": OTHER_WORDS}


def quality() -> list[Row]:
    """Return the hits among the first five results, of hybrid search beside each of its parts."""
    demo_site.make()
    isolated(index_words)
    found = isolated(ranks)
    print(f"\n### Questions answered by one of the first {FIRST} pages, mean reciprocal rank\n")
    print(f"| | {' | '.join(found)} | of |\n|---{'|---' * len(found)}|---|")
    for half, questions in HALVES.items():
        cells = (f"{hits(one[half])}, {reciprocal_rank(one[half]):.3f}" for one in found.values())
        print(f"| {half} | {' | '.join(cells)} | {len(questions)} |", flush=True)
    return [
        Row(
            what=f"hits, {half}",
            ours=str(hits(found["hybrid"][half])),
            other=f"{way}: {hits(found[way][half])}",
            ratio=hits(found[way][half]) / (hits(found["hybrid"][half]) or 1),
            at_most=1 if way in PARTS else None,
        )
        for half in HALVES
        for way in found
        if way != "hybrid"
    ]


def hits(found: Sequence[int]) -> int:
    """Return how many questions are answered by one of the first pages."""
    return sum(0 < rank <= FIRST for rank in found)


def reciprocal_rank(found: Sequence[int]) -> float:
    """Return the mean of 1 / rank over all questions; a page that is not found counts 0."""
    return statistics.mean(1 / rank if rank else 0 for rank in found)


def index_words() -> None:
    """Fill the full-text index of the demo's site."""
    demo_site.start()
    from django.core.management import call_command

    call_command("update_index", verbosity=0)


def ranks() -> dict[str, dict[str, list[int]]]:
    """Return the rank of the first page that answers each question, by way to search and half.

    A rank is 0 if none of the first `DEEP` pages answers the question.
    """
    demo_site.start()
    from vectordemo.models import DocPage
    from vectordemo.vector_indexes import SiteIndex

    index, by_ranks, pages = SiteIndex(), SiteIndex(), DocPage.objects.live()
    by_ranks.fusion = "ranks"
    ways = {
        "hybrid": lambda question: index.search(question, limit=DEEP, mode="hybrid"),
        "fusion by ranks": lambda question: by_ranks.search(question, limit=DEEP, mode="hybrid"),
        "vector": lambda question: index.search(question, limit=DEEP),
        "Wagtail, or": lambda question: pages.search(question, operator="or")[:DEEP],
        "Wagtail, and": lambda question: pages.search(question, operator="and")[:DEEP],
    }
    return {
        name: {
            half: [
                next(
                    (
                        rank
                        for rank, page in enumerate(way(question), start=1)
                        if page.source_path in answers
                    ),
                    0,
                )
                for question, answers in questions.items()
            ]
            for half, questions in HALVES.items()
        }
        for name, way in ways.items()
    }


def cost() -> list[Row]:
    """Return the time that the words add to a search of many pages."""
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(processes.make, database, "pages", COUNT)
        isolated(processes.index, database, "pages", COUNT)
        isolated(processes.index_words, database)
        return [row for words in (8, 60) for row in isolated(added, database, words)]


def added(database: str, words: int) -> list[Row]:
    """Return the time of hybrid search beyond vector search, for questions of ``words`` words.

    Each word is in a third of the pages, so nearly every page contains one of the words.
    """
    processes.start(database)
    from benchmarks.website.content import text
    from benchmarks.website.models import PassagePage

    index = PassagePage.vector_index
    taken: dict[str, list[tuple[float, float]]] = {"vector": [], "hybrid": []}
    for turn in range(-3, SEARCHES):
        number_of_page = random.Random(turn).randrange(COUNT)
        question = " ".join(text(number_of_page).rstrip(".").split()[-words:])
        for mode, times in taken.items():
            started = time.process_time(), time.perf_counter()
            list(index.search(question, mode=mode))
            ended = time.process_time(), time.perf_counter()
            if turn >= 0:  # the turns before fill caches
                times.append((ended[0] - started[0], ended[1] - started[1]))
    what = f"added at {COUNT:,} pages, {words} words"
    return [
        _difference(f"{what}, the processor's time", taken, 0, at_most=None),
        _difference(f"{what}, by the clock", taken, 1, at_most=1),
    ]


def _difference(
    what: str, taken: dict[str, list[tuple[float, float]]], clock: int, at_most: float | None
) -> Row:
    pairs = zip(taken["vector"], taken["hybrid"], strict=True)
    added = [1e3 * (hybrid[clock] - vector[clock]) for vector, hybrid in pairs]
    tenths = statistics.quantiles(added, n=10, method="inclusive")
    vector = 1e3 * statistics.median(times[clock] for times in taken["vector"])
    return Row(
        what=what,
        ours=f"{number(statistics.median(added))} ms",
        other=f"{MOST:g} ms",
        ratio=statistics.median(added) / MOST,
        spread=(tenths[0] / MOST, tenths[-1] / MOST),
        at_most=at_most,
        note=f"vector search: {number(vector)} ms",
    )


if __name__ == "__main__":
    met = [
        print_table("Hybrid search: quality", quality()),
        print_table("Hybrid search: cost", cost()),
    ]
    raise SystemExit(verdict(met))
