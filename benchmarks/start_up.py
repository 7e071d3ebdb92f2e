"""Measures the time that installed plugins add to the start of a process and to the checks.

Run with ``python -m benchmarks.start_up``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import importlib_metadata

from benchmarks.measure import Paired, Row, isolated, print_table, verdict

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
TURNS = 5 if QUICK else 25

#: The most seconds that plugins may add to each step.
ALLOWED = {"django.setup()": 0.015, "manage.py check": 0.050}

GROUP = "wagtail_vector_index"
HEAVY = (
    "aiohttp", "fastembed", "grpc", "httpx", "httpx2", "huggingface_hub", "numpy", "onnxruntime",
    "openai", "pgvector", "psycopg", "qdrant_client", "safetensors", "tokenizers", "weaviate",
    "wordllama",
)  # fmt: skip


def run() -> dict[str, list[Row]]:
    """Return the tables of processes with and without plugins, in turn."""
    plugins = sorted(entry.name for entry in importlib_metadata.entry_points(group=GROUP))
    assert plugins, "no plugin is installed"
    # Sites start from compiled files. The first turn, which does not count, writes them.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    times: dict[tuple[str, str], dict[bool, list[float]]] = {}
    heavy: dict[bool, set[str]] = {True: set(), False: set()}
    # Django itself may ask, on some databases, what they can do.
    queries = {True: 0, False: 0}
    for turn in range(-1, TURNS):
        for with_plugins in (True, False) if turn % 2 else (False, True):
            started = isolated(start, with_plugins)
            assert started["plugins"] == (plugins if with_plugins else [])
            heavy[with_plugins] |= {*started["heavy"]}
            queries[with_plugins] = max(queries[with_plugins], started["queries"])
            for step, taken in started["taken"].items() if turn >= 0 else ():
                for clock, seconds in taken.items():
                    by = times.setdefault((step, clock), {True: [], False: []})
                    by[with_plugins].append(seconds)
    paired = {key: Paired(ours=by[True], other=by[False]) for key, by in times.items()}
    tables = {
        f"{step} with all plugins": [
            paired[step, "wall"].row(f"with {', '.join(plugins)}", "without them"),
            paired[step, "processor"].row("the same, the processor's time", "without them"),
            _added(paired[step, "wall"], "what they add", allowed),
            _added(
                paired[step, "processor"],
                "what they add, the processor's time",
                allowed,
                at_most=1.0,
            ),
        ]
        for step, allowed in ALLOWED.items()
    }
    tables["django.setup() with all plugins"] += [
        Row(
            what="clients and NumPy that they import",
            ours=", ".join(sorted(heavy[True] - heavy[False])) or "none",
            other="none",
            ratio=len(heavy[True] - heavy[False]),
            at_most=0.0,
        ),
        Row(
            what="queries, also of the checks",
            ours=str(queries[True]),
            other=f"without them: {queries[False]}",
            ratio=queries[True] - queries[False],
            at_most=0.0,
        ),
    ]
    return tables


def _added(both: Paired, what: str, allowed: float, at_most: float | None = None) -> Row:
    """Return the difference of the medians. Single turns differ more than by a few milliseconds."""
    difference = statistics.median(both.ours) - statistics.median(both.other)
    return Row(
        what=what,
        ours=f"{1e3 * difference:.1f} ms",
        other=f"{1e3 * allowed:.0f} ms",
        ratio=difference / allowed,
        at_most=at_most,
    )


def start(with_plugins: bool) -> dict[str, Any]:  # noqa: FBT001
    """Time ``django.setup()`` with the discovery that follows, and then the system checks.

    Without plugins, the metadata of their distributions is hidden, so that it looks as if only
    core were installed. Plugins are found only by this metadata. The checks of core are left out,
    too.
    """
    if not with_plugins:
        _hide_plugins()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.website.settings"
    import django
    from django.db.backends.utils import CursorWrapper

    queries, asked = 0, CursorWrapper.execute

    def counted(*arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return asked(*arguments)

    CursorWrapper.execute = counted  # type: ignore[method-assign]
    taken = {}
    with _timed(taken, "django.setup()"):
        django.setup()
        from wagtail_vector_index.plugins.discovery import registry

        found = registry()
    heavy = [name for name in HEAVY if name in sys.modules]
    from django.core.checks import run_checks
    from django.core.checks.registry import registry as checks

    if not with_plugins:
        ours = {one for one in checks.registered_checks if one.__module__.startswith(GROUP)}
        checks.registered_checks -= ours
    with _timed(taken, "manage.py check"):
        run_checks()
    assert not found.failures
    return {
        "taken": taken,
        "plugins": sorted(plugin.source.name for plugin in found.plugins),
        "heavy": heavy,
        "queries": queries,
    }


@contextmanager
def _timed(taken: dict[str, dict[str, float]], step: str) -> Iterator[None]:
    started = time.perf_counter(), time.process_time()
    yield
    taken[step] = {
        "wall": time.perf_counter() - started[0],
        "processor": time.process_time() - started[1],
    }


def _hide_plugins() -> None:
    found = list(importlib_metadata.distributions())
    visible = [one for one in found if not one.entry_points.select(group=GROUP)]
    importlib_metadata.distributions = lambda **_: iter(visible)


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
