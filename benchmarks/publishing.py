"""Measures the cost of publishing a page with indexing on, while no service can be reached.

Run with ``python -m benchmarks.publishing``.
"""

from __future__ import annotations

import logging
import os
import socket
import statistics
import tempfile
import time
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.measure import Paired, Row, isolated, paired, print_table, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
PAGES = 100
TURNS = 11 if QUICK else 51

#: The most seconds that indexing may add to publishing.
ALLOWED = 0.005

#: The services that cannot be reached, each with its setting and its keys besides ``HOST``.
SERVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "an embedding service": (
        "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS",
        {
            "BACKEND": "openai", "MODEL": "none", "API_KEY": "none",
            "DIMENSIONS": 384, "MAX_RETRIES": 0, "TIMEOUT": 5.0,
        },
    ),
    "a vector backend": (
        "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS",
        {"BACKEND": "qdrant", "TIMEOUT": 5},
    ),
}  # fmt: skip


def run() -> dict[str, list[Row]]:
    """Return the table of the same pages, published with indexing on and off in turn."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(processes.make, database, "pages", PAGES)
        isolated(processes.index, database, "pages", PAGES)
        for service, what in product(SERVICES, ("refuses connections", "never answers")):
            taken = isolated(publish, database, service, what == "never answers")
            both, processor = Paired(**taken["clock"]), Paired(**taken["processor"])
            rows += [
                both.row(f"publishing, {service} that {what}", "indexing switched off"),
                _added(both, "what that adds", at_most=1.0),
                _added(processor, "what that adds, the thread's processor time"),
            ]
    return {"Publishing with a service that cannot be reached": rows}


def _added(both: Paired, what: str, at_most: float | None = None) -> Row:
    differences = [ours - other for ours, other in zip(both.ours, both.other, strict=True)]
    middle = statistics.median(differences)
    tenths = statistics.quantiles(differences, n=10, method="inclusive")
    return Row(
        what=what,
        ours=f"{1e3 * middle:.2f} ms ({1e3 * tenths[0]:.2f} – {1e3 * tenths[-1]:.2f})",
        other=f"{1e3 * ALLOWED:.0f} ms",
        ratio=middle / ALLOWED,
        at_most=at_most,
    )


def publish(
    database: str,
    service: str,
    hangs: bool,  # noqa: FBT001  # `isolated` passes only positional arguments
) -> dict[str, dict[str, list[float]]]:
    """Publish one page after another, with indexing on and off in turn."""
    processes.start(database)
    with closing(socket.socket()) as port:
        port.bind(("127.0.0.1", 0))
        if hangs:
            port.listen(1_000)  # accepts connections and never answers
        return _publish(service, f"http://127.0.0.1:{port.getsockname()[1]}")


def _publish(service: str, url: str) -> dict[str, dict[str, list[float]]]:
    from django.conf import settings
    from django.db.models import F
    from django.test import override_settings

    from benchmarks.website.models import PassagePage
    from wagtail_vector_index.background.worker import worker
    from wagtail_vector_index.handlers import embedding_backends
    from wagtail_vector_index.models import Collection, PendingChange

    logging.disable(logging.WARNING)
    pages = list(PassagePage.objects.order_by("pk"))
    setting, options = SERVICES[service]

    def publish_one(turn: int, *, auto_update: bool) -> None:
        settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = auto_update
        page = pages[turn % len(pages)]
        page.body = f"{page.body} {turn} {auto_update}"
        started = time.thread_time()
        page.save_revision().publish()
        processor[auto_update].append(time.thread_time() - started)

    processor: dict[bool, list[float]] = {True: [], False: []}
    with override_settings(**{setting: {"default": {**options, "HOST": url}}}):
        # Pretend that the index was built with this service, and that nothing has failed yet.
        PendingChange.objects.all().delete_rows()
        Collection.objects.update(
            attempts=0, next_attempt=None, fingerprint=embedding_backends["default"].fingerprint
        )
        both = paired(
            lambda turn: publish_one(turn, auto_update=True),
            lambda turn: publish_one(turn, auto_update=False),
            repeats=TURNS,
        )
        assert worker().wait(60), "the thread is still busy"
        pending = PendingChange.objects.exclude(last_error="").count()
        behind = Collection.objects.filter(applied_revision__lt=F("revision"), attempts__gt=0)
        assert pending or behind, "the service was not asked"
    return {
        "clock": {"ours": list(both.ours), "other": list(both.other)},
        "processor": {"ours": processor[True], "other": processor[False]},
    }


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
