"""Migration operations that skip databases without PostgreSQL, and may run in parallel."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management import CommandError
from django.db import migrations
from django.db.migrations.operations.base import Operation

from wagtail_vector_index.exceptions import ConfigurationError

from .configured import options_for
from .extension import LOCK, enable
from .models import PREFIX, VectorTable

logger = logging.getLogger(__name__)


class EnableExtension(Operation):
    """Creates the extension in a PostgreSQL database. The reverse keeps the extension."""

    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing, because no model changes."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the extension unless it exists.

        Raises:
            CommandError: the extension cannot be created, but the settings have collections in
                this database. The message has the statement for the administrator.
        """
        if not _applies(app_label, schema_editor) or schema_editor.collect_sql:
            return
        connection = schema_editor.connection
        try:
            enable(connection)
        except ConfigurationError as error:
            if options_for(connection.alias):
                raise CommandError(str(error)) from error
            logger.info("No configured vector backend needs pgvector yet: %s", error)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Keep the extension, because other code may use it by now."""

    def describe(self) -> str:
        """Return the text that ``manage.py migrate --plan`` shows."""
        return "Enables the extension pgvector if it is missing"


class CreateTable(migrations.CreateModel):
    """Creates a table on PostgreSQL only, unless a parallel migration has created it."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Take the lock, then create the table unless it exists."""
        if not _applies(app_label, schema_editor):
            return
        if not schema_editor.collect_sql:
            connection = schema_editor.connection
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                model = to_state.apps.get_model(app_label, self.name)
                if model._meta.db_table in connection.introspection.table_names(cursor):
                    return
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Drop the table, and the tables of vectors that it lists."""
        if _applies(app_label, schema_editor):
            if not schema_editor.collect_sql:
                _drop_vectors(schema_editor)
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def _drop_vectors(schema_editor: Any) -> None:
    registry = VectorTable._meta.db_table
    with schema_editor.connection.cursor() as cursor:
        # Only in the registry's schema: other schemas may have tables of the same names.
        cursor.execute(
            "SELECT format('DROP TABLE IF EXISTS %%s.%%I', relnamespace::regnamespace, %s || name)"
            f" FROM {registry} JOIN pg_class ON pg_class.oid = to_regclass(%s)",
            [PREFIX, registry],
        )
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


def _applies(app_label: str, schema_editor: Any) -> bool:
    from django.db import router

    return schema_editor.connection.vendor == "postgresql" and router.allow_migrate(
        schema_editor.connection.alias, app_label
    )
