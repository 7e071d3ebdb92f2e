"""Measures the time that installed plugins add to the start of a process.

Run with ``python -m benchmarks.start_up``.
"""

from __future__ import annotations

import importlib.metadata
import os
import statistics
import sys
import time
from typing import Any

from benchmarks.measure import Paired, Row, isolated, print_table, verdict

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
TURNS = 5 if QUICK else 25

#: The most seconds that plugins may add.
ALLOWED = 0.050

GROUP = "wagtail_vector_index"
HEAVY = (
    "aiohttp", "fastembed", "grpc", "httpx", "httpx2", "huggingface_hub", "numpy", "onnxruntime",
    "openai", "pgvector", "psycopg", "qdrant_client", "safetensors", "tokenizers", "weaviate",
    "wordllama",
)  # fmt: skip


def run() -> dict[str, list[Row]]:
    """Return the table of processes with and without plugins, in turn."""
    plugins = sorted(entry.name for entry in importlib.metadata.entry_points(group=GROUP))
    assert plugins, "no plugin is installed"
    times: dict[str, dict[bool, list[float]]] = {
        clock: {True: [], False: []} for clock in ("seconds", "processor")
    }
    heavy: set[str] = set()
    for turn in range(-1, TURNS):
        for with_plugins in (True, False) if turn % 2 else (False, True):
            started = isolated(set_up, with_plugins)
            assert started["plugins"] == (plugins if with_plugins else [])
            heavy |= {*started["heavy"]}
            if turn >= 0:
                for clock, taken in times.items():
                    taken[with_plugins].append(started[clock])
    wall, processor = (Paired(ours=by[True], other=by[False]) for by in times.values())
    return {
        "django.setup() with all plugins": [
            wall.row(f"with {', '.join(plugins)}", "without them"),
            processor.row("the same, the processor's time", "without them"),
            _added(wall, "what they add"),
            _added(processor, "what they add, the processor's time", at_most=1.0),
            Row(
                what="clients and NumPy that were imported",
                ours=", ".join(sorted(heavy)) or "none",
                other="none",
                ratio=len(heavy),
                at_most=0.0,
            ),
        ]
    }


def _added(both: Paired, what: str, at_most: float | None = None) -> Row:
    """Return the difference of the medians. Single turns differ more than by a few milliseconds."""
    difference = statistics.median(both.ours) - statistics.median(both.other)
    return Row(
        what=what,
        ours=f"{1e3 * difference:.1f} ms",
        other=f"{1e3 * ALLOWED:.0f} ms",
        ratio=difference / ALLOWED,
        at_most=at_most,
    )


def set_up(with_plugins: bool) -> dict[str, Any]:  # noqa: FBT001
    """Time ``django.setup()`` and the discovery that follows, as at the start of a server.

    Without plugins, the metadata of their distributions is hidden, so that it looks as if only
    core were installed. Plugins are found only by this metadata.
    """
    if not with_plugins:
        _hide_plugins()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.website.settings"
    import django

    started = time.perf_counter(), time.process_time()
    django.setup()
    from wagtail_vector_index.plugins.discovery import registry

    found = registry()
    taken = time.perf_counter() - started[0], time.process_time() - started[1]
    assert not found.failures
    return {
        "seconds": taken[0],
        "processor": taken[1],
        "plugins": sorted(plugin.source.name for plugin in found.plugins),
        "heavy": [name for name in HEAVY if name in sys.modules],
    }


def _hide_plugins() -> None:
    distributions = list(importlib.metadata.distributions())
    visible = [one for one in distributions if not one.entry_points.select(group=GROUP)]
    importlib.metadata.distributions = lambda **_: iter(visible)


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
