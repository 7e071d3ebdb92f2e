"""Finds models of an index whose table was never created."""

from __future__ import annotations

from django.db import Error, router

from ..content.declaration import IndexDeclaration
from ..models.tenants import has_table, migrate_command
from .problems import Problem

__all__ = ["missing_source_table"]


def missing_source_table(index: IndexDeclaration) -> Problem | None:
    """Return a problem if a model of an index has no table.

    The result is None, too, if a database does not answer.
    """
    for model in index.configuration.models:
        alias, table = router.db_for_read(model), model._meta.db_table
        try:
            if has_table(alias, table):
                continue
        except Error:
            return None
        return Problem(
            message=f"{model._meta.label} has no table {table}.",
            remedy=(
                f"Run: manage.py makemigrations {model._meta.app_label},"
                f" then: {migrate_command(alias)}"
            ),
        )
    return None
