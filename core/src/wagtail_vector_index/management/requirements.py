"""The check that commands make before they begin."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import connections

from ..models.tables import Collection, index_database


def require_tables() -> None:
    """Check that the index tables exist.

    Raises:
        CommandError: they do not exist; the message says which command creates them.
    """
    alias = index_database()
    if Collection._meta.db_table not in connections[alias].introspection.table_names():
        option = "" if alias == "default" else f" --database {alias}"
        raise CommandError(
            "The database has no tables of Wagtail Vector Index yet."
            f" Run: manage.py migrate{option}"
        )
