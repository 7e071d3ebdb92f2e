"""The check that commands make before they begin."""

from __future__ import annotations

from django.core.management.base import CommandError

from ..models.tenants import has_tables, missing_tables


def require_tables() -> None:
    """Check that the index tables exist.

    Raises:
        CommandError: they do not exist; the message says which command creates them.
    """
    if not has_tables():
        raise CommandError(missing_tables())
