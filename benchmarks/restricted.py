"""Measures searches within a queryset, and by visitors who may not see everything.

Run with ``python -m benchmarks.restricted``. The NumPy backend is measured on SQLite, and the
PostgreSQL backend on the server in DATABASE_URL, or on a server that the benchmark starts.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, isolated, paired, print_table, verdict
from benchmarks.pgvector_backend import django_url, server
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
COUNT = 5_000 if QUICK else 100_000
#: The sections of the site; the first is the whole site.
SLUGS = ("home", "section-10", "section-100", "section-ten")
LIMIT = 10
REPEATS = 11 if QUICK else 51
RARE_REPEATS = 5
QUERIES = 20


def run() -> dict[str, list[Row]]:
    """Return all tables, by title."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(Path(folder, "site.sqlite3"))
        tables = {"Restricted searches, NumPy backend": measured(site, "numpy", 3.0)}
    with server() as info:
        title = "Restricted searches, PostgreSQL backend"
        tables[title] = measured(django_url(info), "pgvector", None)
    return tables


def measured(database: str, backend: str, at_most: float | None) -> list[Row]:
    """Return the table of one backend."""
    os.environ["BENCHMARK_VECTOR_BACKEND"] = backend
    isolated(processes.make, database, "pages", COUNT)
    isolated(processes.index, database, "pages", COUNT)
    rows: list[Row] = isolated(restricted_rows, database, at_most)
    return rows


def restricted_rows(database: str, at_most: float | None) -> list[Row]:
    """Measure searches within a section, and by visitors who may see only that section."""
    processes.start(database)
    from django.contrib.auth.models import User
    from django.db import transaction
    from wagtail.models import Page, PageViewRestriction

    from benchmarks.website.models import PassagePage

    index = PassagePage.vector_index
    admin = User(username="admin", is_superuser=True)
    queries = [f"{number} and something else" for number in range(QUERIES)]
    nearest = Nearest(index, queries)
    home = Page.objects.get(depth=2)

    def search(turn: int, **restriction: Any) -> list[Any]:
        return list(index.search(queries[turn % QUERIES], limit=LIMIT, **restriction))

    rows = []
    for slug in SLUGS:
        section = home if slug == "home" else Page.objects.get(slug=slug)
        inside = PassagePage.objects.descendant_of(section)
        keys = set(inside.values_list("pk", flat=True))

        def within(turn: int, inside: Any = inside) -> list[Any]:
            return search(turn, within=inside)

        rows.append(
            paired(within, search, repeats=REPEATS, warm_up=QUERIES).row(
                f"within a queryset of {len(keys):,} of {COUNT:,} pages",
                "unrestricted",
                at_most=at_most,
                note=nearest.quality(within, keys),
            )
        )
        with transaction.atomic():
            hidden = home.get_children().exclude(pk=section.pk) if section != home else []
            restrictions = [PageViewRestriction(page=p, restriction_type="groups") for p in hidden]
            PageViewRestriction.objects.bulk_create(restrictions)
            # If a visitor may see almost nothing, each search looks at nearly all objects.
            repeats = REPEATS if len(keys) > LIMIT else RARE_REPEATS
            rows.append(
                paired(search, lambda turn: search(turn, user=admin), repeats=repeats).row(
                    f"{len(restrictions)} restrictions leave {len(keys):,} of {COUNT:,} pages",
                    "by who may see all",
                    note=nearest.quality(search, keys),
                )
            )
            transaction.set_rollback(True)
    return rows


class Nearest:
    """The objects that are really nearest to each query, from the vectors in the index tables."""

    def __init__(self, index: Any, queries: list[str]) -> None:
        import numpy as np

        from wagtail_vector_index.models import Document

        found = Document.objects.filter(deleted_at=None).values_list(
            "object_key", "embedding__vector"
        )
        keys, vectors = zip(*found, strict=True)
        self._pks = np.array([int(key.partition(":")[2]) for key in keys])
        matrix = np.frombuffer(b"".join(vectors), np.float32).reshape(len(keys), -1)
        matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        asked = [np.asarray(index.embedder.embed_query(query)) for query in queries]
        self._scores = [matrix @ vector for vector in asked]

    def quality(self, search: Any, allowed: set[int]) -> str:
        """Return the recall of a search, and whether it finds as many objects as exist."""
        import numpy as np

        inside = np.isin(self._pks, list(allowed))
        wanted = min(LIMIT, len(allowed))
        hits = 0
        for turn, scores in enumerate(self._scores):
            ranked = np.argsort(np.where(inside, -scores, np.inf))[:wanted]
            found = {page.pk for page in search(turn)}
            assert found <= allowed
            assert len(found) == wanted, f"{len(found)} of {wanted}"
            hits += len(found & set(self._pks[ranked].tolist()))
        return f"complete, recall {hits / (wanted * len(self._scores)):.3f}"


if __name__ == "__main__":
    met = [print_table(title, rows) for title, rows in run().items()]
    raise SystemExit(verdict(met))
