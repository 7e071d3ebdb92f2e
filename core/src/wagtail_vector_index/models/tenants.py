"""The tenant that code runs for, on sites that keep each tenant in a schema of its own.

Libraries such as django-tenants let the site's database connection say which schema is in use.
Code that runs later, in a thread or a task, must enter the schema where its work was noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from .tables import Collection, index_database

__all__ = ["current_tenant", "has_tables", "in_tenant", "place"]


def current_tenant() -> str:
    """Return the schema that the current code runs in, or "" on a site without tenants."""
    connection = _connection()
    return str(connection.schema_name or "") if _has_tenants(connection) else ""


@contextmanager
def in_tenant(name: str) -> Iterator[None]:
    """Run a block in a tenant's schema, and return to the previous one."""
    connection = _connection()
    if not name or not _has_tenants(connection) or connection.schema_name == name:
        yield
        return
    previous = connection.tenant
    connection.set_schema(name)
    try:
        yield
    finally:
        connection.set_tenant(previous)


def place() -> tuple[str, str]:
    """Return the database and the schema of the index tables that the current code uses."""
    return index_database(), current_tenant()


def has_tables() -> bool:
    """Return whether the index tables exist in the current tenant's schema."""
    return Collection._meta.db_table in _connection().introspection.table_names()


def _connection() -> Any:
    return connections[index_database()]


def _has_tenants(connection: Any) -> bool:
    return all(hasattr(connection, name) for name in ("schema_name", "set_schema", "set_tenant"))
