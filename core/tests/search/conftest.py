"""What the tests of searching share."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection


@pytest.fixture
def full_text(db):
    """SQLite's full-text table, which only Wagtail's own migration makes."""
    if connection.vendor != "sqlite":
        return
    migration = import_module("wagtail.search.migrations.0006_customise_indexentry").Migration
    made = [o for o in migration.operations if getattr(o, "database_operations", None)]
    (operation,) = [o for o in made if "_fts" in str(o.database_operations[0].sql)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE wagtailsearch_indexentry_fts")
        for statement in operation.database_operations:
            cursor.execute(statement.sql)
