"""The tenant that code runs for, on sites that keep each tenant in a schema of its own.

Libraries such as django-tenants let the site's database connection say which schema is in use.
Code that runs later, in a thread or a task, must enter the schema where its work was noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.conf import settings
from django.db import Error, connections, transaction

from ..exceptions import IndexNotBuilt
from .tables import Collection, index_database

__all__ = [
    "current_tenant",
    "has_table",
    "has_tables",
    "in_tenant",
    "lacks_tables",
    "migrate_command",
    "missing_tables",
    "needing_tables",
    "place",
]

#: The places where index tables were read. Later reads there need no savepoint.
_found: set[tuple[str, str]] = set()


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
    """Return whether the current code can read index tables."""
    return has_table(index_database(), Collection._meta.db_table)


def has_table(alias: str, table: str) -> bool:
    """Return whether the current code can read a table, or a view, in a database.

    It may be in a schema that tenants share, which introspection in a tenant's schema leaves out.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        introspection = connection.introspection
        return introspection.identifier_converter(table) in introspection.table_names(
            include_views=True
        )
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(table)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


def lacks_tables() -> bool:
    """Return whether the index tables are missing; False if the database does not answer."""
    try:
        return not has_tables()
    except Error:
        return False


def missing_tables() -> str:
    """Return the text of an error if the index tables do not exist."""
    alias, tenant = place()
    where = f"The schema {tenant!r}" if tenant else "The database"
    # Django-tenants chose the names of the setting and of the option.
    is_public = tenant == getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
    without = "To leave it out of all_tenants_command, add --no-public. " if is_public else ""
    command = migrate_command(alias)
    command = (
        f"{without}To choose another tenant, run commands through: manage.py tenant_command. To"
        f" create the tables, put wagtail_vector_index into TENANT_APPS and run: {command}"
        if tenant
        else f"Run: {command}"
    )
    return f"{where} has no tables of Wagtail Vector Index yet. {command}"


def migrate_command(alias: str) -> str:
    """Return the command that creates tables in a database, for the current tenant if any."""
    name = "migrate_schemas" if current_tenant() else "migrate"
    option = "" if alias == "default" else f" --database {alias}"
    return f"manage.py {name}{option}"


@contextmanager
def needing_tables() -> Iterator[None]:
    """Run a block that only reads the index tables.

    Raises:
        IndexNotBuilt: the tables are missing; the message says which command creates them.
    """
    where = place()
    # Before the first migration, a search must not break the caller's transaction.
    is_new = where not in _found and connections[where[0]].in_atomic_block
    try:
        with transaction.atomic(using=where[0]) if is_new else nullcontext():
            yield
    except Error as error:
        if lacks_tables():
            raise IndexNotBuilt(missing_tables()) from error
        raise
    _found.add(where)


def _connection() -> Any:
    return connections[index_database()]


def _has_tenants(connection: Any) -> bool:
    return all(hasattr(connection, name) for name in ("schema_name", "set_schema", "set_tenant"))
