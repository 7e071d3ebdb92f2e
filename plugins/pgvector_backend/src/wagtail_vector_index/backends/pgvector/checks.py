"""The system check of the tables of vectors, for ``check --database``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from django.apps import AppConfig
from django.core import checks
from django.db import Error, connections, transaction

from wagtail_vector_index.contract import CollectionSpec, Metric

from .configured import options_for
from .models import VectorTable


def check_tables(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Warn of collections whose vectors have too many dimensions for an index."""
    return [message for alias in databases or () for message in _messages(alias)]


def _messages(alias: str) -> Iterator[checks.CheckMessage]:
    wanted = [options for options in options_for(alias) if options.index != "none"]
    if not wanted or connections[alias].vendor != "postgresql":
        return

    from .searching import LIMITS, precision_of

    try:
        # In a savepoint, so that a missing table does not break an open transaction.
        with transaction.atomic(using=alias):
            tables = list(VectorTable.objects.using(alias).order_by("name"))
    except Error:  # not migrated yet, or not reachable: other checks report that
        return
    found = [
        f"{table.name} ({table.dimensions}, {table.metric})"
        for table in tables
        if not any(precision_of(_spec(table), options) for options in wanted)
    ]
    if found:
        yield checks.Warning(
            f"Collections in the database {alias!r} have more dimensions than pgvector can index:"
            f" {', '.join(found)}. The limit is {LIMITS}. Searches of these collections are exact,"
            " and become slower as records are added.",
            hint=(
                "Use an embedding model with fewer dimensions, or set 'PRECISION' to 'bit', or"
                " set 'INDEX' to 'none' if searches should be exact."
            ),
            id="wagtail_vector_index_pgvector.W001",
        )


def _spec(table: VectorTable) -> CollectionSpec:
    metric = cast(Metric, table.metric)
    return CollectionSpec(name=table.name, dimensions=table.dimensions, metric=metric)
