"""What the installed plugins add to the start of a process.

Run with ``python -m benchmarks.start_up``.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from typing import Any

from benchmarks.measure import Paired, Row, isolated, print_table, seconds

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
TURNS = 5 if QUICK else 25

#: Seconds that plugins may add.
ALLOWED = 0.050

GROUP = "wagtail_vector_index"
HEAVY = (
    "aiohttp", "grpc", "httpx", "httpx2", "huggingface_hub", "numpy", "openai", "pgvector",
    "psycopg", "pydantic", "qdrant_client", "safetensors", "tokenizers", "weaviate", "wordllama",
)  # fmt: skip


def run() -> dict[str, list[Row]]:
    """The table: processes with and without plugins, in turn."""
    plugins = sorted(entry.name for entry in importlib.metadata.entry_points(group=GROUP))
    assert plugins, "no plugin is installed"
    times: dict[bool, list[float]] = {True: [], False: []}
    heavy: set[str] = set()
    for turn in range(-1, TURNS):
        for with_plugins in (True, False) if turn % 2 else (False, True):
            started = isolated(set_up, with_plugins)
            assert started["plugins"] == (plugins if with_plugins else [])
            heavy |= {*started["heavy"]}
            if turn >= 0:
                times[with_plugins].append(started["seconds"])
    both = Paired(ours=times[True], other=times[False])
    added = [one - other for one, other in zip(both.ours, both.other, strict=True)]
    middle = sorted(added)[len(added) // 2]
    return {
        "django.setup(), the checks and the plugins": [
            both.row(f"with {', '.join(plugins)}", "without them"),
            Row(
                what="what they add",
                ours=seconds(added),
                other=f"{1e3 * ALLOWED:.0f} ms",
                ratio=middle / ALLOWED,
                at_most=1.0,
            ),
            Row(
                what="clients and NumPy that were imported",
                ours=", ".join(sorted(heavy)) or "none",
                other="none",
                ratio=len(heavy),
                at_most=0.0,
            ),
        ]
    }


def set_up(with_plugins: bool) -> dict[str, Any]:  # noqa: FBT001
    """Time ``django.setup()`` and the discovery that follows, as at the start of a server.

    Without plugins, the metadata of their distributions is hidden, as if core alone were
    installed: there is nothing else by which they are found.
    """
    if not with_plugins:
        _hide_plugins()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.website.settings"
    import django

    started = time.perf_counter()
    django.setup()
    from wagtail_vector_index.plugins.discovery import registry

    found = registry()
    taken = time.perf_counter() - started
    assert not found.failures
    return {
        "seconds": taken,
        "plugins": sorted(plugin.source.name for plugin in found.plugins),
        "heavy": [name for name in HEAVY if name in sys.modules],
    }


def _hide_plugins() -> None:
    distributions = importlib.metadata.distributions

    def visible(**arguments: Any) -> Any:
        for distribution in distributions(**arguments):
            if not distribution.metadata["Name"].startswith("wagtail-vector-index-"):
                yield distribution

    importlib.metadata.distributions = visible


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(not all(met))
