"""The check that commands make before they begin."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..models.tables import index_database
from ..models.tenants import current_tenant, has_tables


def require_tables() -> None:
    """Check that the index tables exist.

    Raises:
        CommandError: they do not exist; the message says which command creates them.
    """
    if not has_tables():
        raise CommandError(missing_tables())


def missing_tables() -> str:
    """Return the text of an error if the index tables do not exist."""
    alias, tenant = index_database(), current_tenant()
    where = f"The schema {tenant!r}" if tenant else "The database"
    option = "" if alias == "default" else f" --database {alias}"
    command = (
        "To choose another tenant, run commands through: manage.py tenant_command. To create the"
        " tables, put wagtail_vector_index into TENANT_APPS and run:"
        f" manage.py migrate_schemas{option}"
        if tenant
        else f"Run: manage.py migrate{option}"
    )
    return f"{where} has no tables of Wagtail Vector Index yet. {command}"
