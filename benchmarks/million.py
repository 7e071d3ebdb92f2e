"""Measures an index of a million documents, end to end, on SQLite and on PostgreSQL.

Run with ``python -m benchmarks.million``. MILLION_OBJECTS is the number of objects, and
MILLION_SITES the names of the sites, as in `SITES`. PostgreSQL is the server in DATABASE_URL, or
one that the benchmark starts.

Nine tenths of the objects are plain ones, and one tenth are pages, of which most are below one of
200 view restrictions. An anonymous visitor makes the searches with restrictions.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    Row,
    isolated,
    number,
    peak_resident,
    print_table,
    resident,
    seconds,
    size,
    verdict,
)
from benchmarks.pgvector_backend import django_url, server
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = int(os.environ.get("MILLION_OBJECTS") or (20_000 if QUICK else 1_000_000))
PAGES = COUNT // 10
RESTRICTIONS = 200
CHANGED = 100
SEARCHES = 100
CHANGES = 20

#: The most bytes of memory that the command may take, the fewest plain objects that an unchanged
#: run must compare in a second, and the most seconds of a search, and until a change is found.
MEMORY = 500e6
COMPARED = 20_000
SEARCH = 30e-3
VISIBLE = 1.0

#: The factor by which the memory, and the time for an object, may grow during the first build.
GROWTH = 1.5


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site to measure: its database, its vector backend, and what its index keeps."""

    title: str
    backend: str
    options: dict[str, Any] = field(default_factory=dict)
    keeps_embeddings: bool = True


#: The graph of a million vectors needs 2.5 GB while it is built, which is above the default.
GRAPH = {"MAINTENANCE_WORK_MEM": "3GB"}

SITES = {
    "sqlite": Site(title="SQLite and NumPy", backend="numpy", options={"QUANTIZATION": "binary"}),
    "postgresql": Site(title="PostgreSQL", backend="pgvector", options=GRAPH),
    "without-embeddings": Site(
        title="PostgreSQL, keep_embeddings = False",
        backend="pgvector",
        options=GRAPH,
        keeps_embeddings=False,
    ),
}
NAMES = os.environ.get("MILLION_SITES", " ".join(SITES)).split()


def run() -> Iterator[tuple[str, list[Row]]]:
    """Yield the table of each site, with its title."""
    for name in NAMES:
        with database(SITES[name]) as place:
            yield f"{COUNT:,} documents, {SITES[name].title}", measured(name, place)


@contextmanager
def database(site: Site) -> Iterator[str]:
    """Yield the path or the URL of an empty database, and have the site use its backend."""
    given = {
        "BENCHMARK_VECTOR_BACKEND": site.backend,
        "BENCHMARK_VECTOR_OPTIONS": json.dumps(site.options),
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        if site.backend == "pgvector":
            with server() as info:
                yield django_url(info)
        else:
            with tempfile.TemporaryDirectory() as folder:
                yield str(Path(folder, "site.sqlite3"))
    finally:
        for variable, value in before.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value


def measured(name: str, place: str) -> list[Row]:
    """Return the rows of one site."""
    isolated(make, place)
    built = isolated(update, name, place, "")
    stored = isolated(sizes, name, place)
    again = isolated(update, name, place, "")
    changed = isolated(update, name, place, "change")
    began = time.perf_counter()
    found = isolated(search, name, place)
    start_up = found["searched"] - began
    rebuilt = isolated(update, name, place, "rebuild")
    assert (again["written"], changed["written"]) == (0, CHANGED)
    assert built["written"] == rebuilt["written"] == COUNT
    return [
        *of_the_build(built),
        *of_the_size(stored),
        *of_an_unchanged_run(again),
        of_a_run("changes", f"{CHANGED} changes", changed),
        of_the_memory("an unchanged run", again),
        *of_searches(found, start_up),
        of_a_run("rebuild", "a rebuild beside the active collection", rebuilt),
        of_the_memory("the rebuild", rebuilt),
    ]


def of_the_build(built: dict[str, Any]) -> list[Row]:
    """Return the rows of the first build."""
    # The last tenth are the pages, which take longer than plain objects.
    early, late = built["parts"]["writing"][0], built["parts"]["writing"][-2]
    return [
        of_a_run("build", "the first build", built),
        Row(
            what="seconds for 1,000 objects, the last tenth of the plain ones",
            ours=f"{late['each'] * 1e3:.3g} s",
            other=f"the first tenth: {early['each'] * 1e3:.3g} s",
            ratio=late["processor"] / early["processor"],
            at_most=GROWTH,
            note="the ratio compares the processor's times",
        ),
        of_the_memory("the first build", built),
        Row(
            what="memory after nine tenths of the writing",
            ours=size(late["memory"]),
            other=f"after a tenth: {size(early['memory'])}",
            ratio=late["memory"] / early["memory"],
            at_most=GROWTH,
        ),
        Row(
            what="the vector index",
            ours=f"{built['optimizing']:.1f} s",
            other="the whole build",
            ratio=built["optimizing"] / built["seconds"],
        ),
    ]


def of_a_run(stage: str, what: str, one: dict[str, Any]) -> Row:
    rate = one["written"] / one["seconds"]
    return Row(
        what=what,
        ours=f"{one['seconds']:.1f} s",
        other=f"of the processor: {one['processor']:.1f} s",
        ratio=one["seconds"] / one["processor"],
        note=f"{number(rate)} documents a second" if stage != "changes" else "",
    )


def of_the_memory(what: str, one: dict[str, Any]) -> Row:
    return Row(
        what=f"memory of the command, {what}",
        ours=size(one["peak"]),
        other=f"goal: {size(MEMORY)}; before: {size(one['before'])}",
        ratio=one["peak"] / MEMORY,
        at_most=1,
    )


def of_the_size(stored: dict[str, int]) -> list[Row]:
    """Return the rows of the bytes of each document in the database."""
    content, *tables = stored.items()
    whole = sum(stored.values()) - content[1]
    return [
        Row(
            what="size in the database, a document",
            ours=f"{whole / COUNT:,.0f} B",
            other="the vector alone",
            ratio=whole / COUNT / (4 * 384),
            note=", ".join(f"{name} {count / COUNT:,.0f} B" for name, count in tables if count),
        )
    ]


def of_an_unchanged_run(again: dict[str, Any]) -> list[Row]:
    """Return the rows of an update that finds nothing to do: the whole, and its plain objects."""
    parts = again["parts"]["comparing"][:-1]  # the last tenth are the pages
    rate = 1 / statistics.mean(part["processor"] for part in parts)
    return [
        of_a_run("changes", "an unchanged run", again),
        Row(
            what="its plain objects",
            ours=f"{rate:,.0f} a second of processor time",
            other=f"goal: {COMPARED:,}",
            ratio=COMPARED / rate,
            at_most=None if QUICK else 1,
        ),
    ]


def of_searches(found: dict[str, Any], start_up: float) -> list[Row]:
    """Return the rows of searches, and of changes until a search finds them."""
    rows = [
        Row(
            what="from the start of a process to its first result",
            ours=f"{start_up:.2f} s",
            other="the first search itself",
            ratio=start_up / found["first"],
            note=f"memory of the process: {size(found['peak'])}",
        )
    ]
    for what, name, goal in (
        ("a search", "search", SEARCH),
        (f"a search by a visitor, {RESTRICTIONS} restrictions", "visitor", SEARCH),
        ("a change, until a search finds it", "change", VISIBLE),
    ):
        rows.append(
            Row(
                what=what,
                ours=seconds(found[name]),
                other=f"goal: {goal * 1e3:g} ms",
                ratio=statistics.median(found[name]) / goal,
                at_most=1,
            )
        )
    return rows


def make(place: str) -> None:
    """Make the site's tables, and write its objects and pages."""
    processes.make(place, "objects", COUNT - PAGES)
    from benchmarks.website.content import fill
    from benchmarks.website.everything import analyze

    fill("pages", PAGES, COUNT - PAGES)
    analyze()


def everything(name: str, place: str) -> Any:
    """Start the site, and return its index."""
    processes.start(place)
    import numpy  # noqa: F401  # imported here, since the import is not measured

    from benchmarks.website.everything import Everything

    index = Everything()
    index.keep_embeddings = SITES[name].keeps_embeddings  # type: ignore[misc]
    return index


def update(name: str, place: str, what: str) -> dict[str, Any]:
    """Bring the index up to date, after some changes or as a rebuild."""
    index = everything(name, place)
    from wagtail_vector_index.handlers import vector_backends
    from wagtail_vector_index.indexing.updating import update as update_index

    if what == "change":
        change(CHANGED)
    backend = vector_backends["default"]
    optimizing = Timed(backend, "optimize")
    parts = Parts()
    before = resident()
    started = time.perf_counter(), time.process_time()
    updated = update_index(index, rebuild=what == "rebuild", progress=parts)
    return {
        "seconds": time.perf_counter() - started[0],
        "processor": time.process_time() - started[1],
        "optimizing": optimizing.seconds,
        "written": updated.drained.upserted,
        "parts": parts.tenths,
        "before": before,
        "peak": peak_resident(),
    }


def change(count: int, body: str = "") -> list[Any]:
    """Change some plain objects, and return them."""
    from benchmarks.website.content import text
    from benchmarks.website.models import Passage

    first = Passage.objects.order_by("pk").values_list("pk", flat=True)[0]
    step = (COUNT - PAGES) // count
    chosen = list(Passage.objects.filter(pk__in=range(first, first + step * count, step)))
    for passage in chosen:
        passage.body = text(f"{body}{passage.pk} changed at {time.time()}")
    Passage.objects.bulk_update(chosen, ["body"])
    return chosen


def sizes(name: str, place: str) -> dict[str, int]:
    """Return the bytes of the site's content, and those of each table of the index."""
    everything(name, place)
    from benchmarks.website.everything import bytes_of_tables

    return bytes_of_tables()


def search(name: str, place: str) -> dict[str, Any]:
    """Search for the first time and many times more, and change objects and find them."""
    index = everything(name, place)
    from django.contrib.auth.models import AnonymousUser, User
    from wagtail.models import Page, PageViewRestriction

    from benchmarks.website.content import text
    from wagtail_vector_index.content.object_keys import object_key
    from wagtail_vector_index.indexing.outbox import queue
    from wagtail_vector_index.indexing.updating import apply_changes

    admin, visitor = User(username="admin", is_superuser=True), AnonymousUser()
    taken: dict[str, Any] = {"search": [], "visitor": [], "change": []}

    def one(query: str, user: Any) -> list[Any]:
        started = time.perf_counter()
        found = list(index.search(query, limit=10, user=user))
        taken["search" if user is admin else "visitor"].append(time.perf_counter() - started)
        assert len(found) == 10
        return found

    one(text(0), admin)
    taken["first"] = taken["search"].pop()
    taken["searched"] = time.perf_counter()
    for turn in range(SEARCHES):
        # The first objects were changed before.
        query = text(1 + turn * 7919 % (COUNT - PAGES - 2))
        one(query, admin)
    sections = Page.objects.filter(slug__endswith="of-many").order_by("pk")[:RESTRICTIONS]
    PageViewRestriction.objects.bulk_create(
        PageViewRestriction(page=page, restriction_type="groups") for page in sections
    )
    hidden = tuple(page.path for page in sections)
    assert len(hidden) == RESTRICTIONS
    for turn in range(SEARCHES):
        # Every second query is the text of a page, which is hidden more often than not.
        first, size = (COUNT - PAGES, PAGES) if turn % 2 else (0, COUNT - PAGES)
        query = text(first + turn * 7919 % size)
        found = one(query, visitor)
        assert not any(getattr(page, "path", "").startswith(hidden) for page in found)
    PageViewRestriction.objects.all().delete()
    for turn in range(CHANGES):
        [passage] = change(1, body=f"{turn} ")
        started = time.perf_counter()
        queue(index.name, [object_key(passage)])
        apply_changes(index)
        found = list(index.search(passage.body, limit=1, user=admin))
        taken["change"].append(time.perf_counter() - started)
        assert found == [passage]
    return taken | {"peak": peak_resident()}


class Timed:
    """Adds up the seconds that a method of an object takes."""

    def __init__(self, owner: Any, name: str) -> None:
        self.seconds = 0.0
        self._method = getattr(owner, name)
        setattr(owner, name, self)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the method, and add the seconds that it takes."""
        started = time.perf_counter()
        try:
            return self._method(*arguments, **options)
        finally:
            self.seconds += time.perf_counter() - started


class Parts:
    """The progress of an update: what each tenth of a stage took for an object.

    The update only calls these methods, so this class needs no site that is set up.
    """

    def __init__(self) -> None:
        self.tenths: dict[str, list[dict[str, float]]] = {}
        self._total = self._done = self._counted = 0
        self._clock = (0.0, 0.0)

    def started(self, index: str, doing: str, total: int) -> None:
        """Begin a stage."""
        self._tenths = self.tenths.setdefault(doing, [])
        self._total, self._done, self._counted = total, 0, 0
        self._clock = time.perf_counter(), time.process_time()

    def indexed(self, count: int) -> None:
        """Note the times and the memory at the end of each tenth."""
        self._done += count
        done = self._done - self._counted
        if done and self._done >= (len(self._tenths) + 1) * self._total / 10:
            now = time.perf_counter(), time.process_time()
            self._tenths.append(
                {
                    "each": (now[0] - self._clock[0]) / done,
                    "processor": (now[1] - self._clock[1]) / done,
                    "memory": resident(),
                }
            )
            self._clock, self._counted = now, self._done

    def embedded(self, count: int) -> None:
        """Ignore the texts embedded."""

    def pushed(self, count: int) -> None:
        """Ignore the documents sent."""

    def finished(self) -> None:
        """Ignore the end."""


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run()]
    raise SystemExit(verdict(met))
