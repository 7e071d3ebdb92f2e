"""What the tables in a database tell; checked where the database is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from django.apps import AppConfig
from django.core import checks
from django.db import DatabaseError, connections, transaction

from wagtail_vector_index.contract import CollectionSpec, Metric

from .configured import options_for
from .models import VectorTable


def check_tables(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Collections whose vectors are too long for an index."""
    return [message for alias in databases or () for message in _messages(alias)]


def _messages(alias: str) -> Iterator[checks.CheckMessage]:
    wanted = [options for options in options_for(alias) if options.index != "none"]
    if not wanted or connections[alias].vendor != "postgresql":
        return

    from .searching import LIMITS, precision_of

    try:
        # So that a missing table does not break a transaction that is open already.
        with transaction.atomic(using=alias):
            tables = list(VectorTable.objects.using(alias).order_by("name"))
    except DatabaseError:  # not migrated yet, or not reachable: others say so
        return
    found = [
        f"{table.name} ({table.dimensions}, {table.metric})"
        for table in tables
        if not any(precision_of(_spec(table), options) for options in wanted)
    ]
    if found:
        yield checks.Warning(
            f"Collections in the database {alias!r} have more dimensions than pgvector indexes,"
            f" which is {LIMITS}: {', '.join(found)}. Their searches are exact, and take longer"
            " the more records there are.",
            hint=(
                "Use an embedding model of fewer dimensions, or set 'PRECISION' to 'bit', or"
                " 'INDEX' to 'none' if they shall be exact."
            ),
            id="wagtail_vector_index_pgvector.W001",
        )


def _spec(table: VectorTable) -> CollectionSpec:
    metric = cast(Metric, table.metric)
    return CollectionSpec(name=table.name, dimensions=table.dimensions, metric=metric)
