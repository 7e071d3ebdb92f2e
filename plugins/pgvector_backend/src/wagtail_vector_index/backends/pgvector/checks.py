"""What the tables in a database tell; checked where the database is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db import DatabaseError, connections

from .models import VectorTable

#: The most dimensions that can be indexed other than by one bit of each component.
MOST_INDEXED = 4_000


def check_tables(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Collections whose vectors are too long for an index."""
    return [message for alias in databases or () for message in _messages(alias)]


def _messages(alias: str) -> Iterator[checks.CheckMessage]:
    if connections[alias].vendor != "postgresql":
        return
    tables = VectorTable.objects.using(alias).filter(dimensions__gt=MOST_INDEXED)
    try:
        found = [f"{table.name} ({table.dimensions})" for table in tables.order_by("name")]
    except DatabaseError:  # not migrated yet, or not reachable: others say so
        return
    if found:
        yield checks.Warning(
            f"Collections in the database {alias!r} have more than {MOST_INDEXED:,} dimensions,"
            f" the most that pgvector indexes: {', '.join(found)}. Their searches are exact,"
            " and take longer the more records there are.",
            hint="Use an embedding model of fewer dimensions, or set 'PRECISION' to 'bit'.",
            id="wagtail_vector_index_pgvector.W001",
        )
