"""What the settings say about a database: which aliases of this backend are in it."""

from __future__ import annotations

from wagtail_vector_index.exceptions import ConfigurationError
from wagtail_vector_index.handlers import vector_backends

from .options import PgvectorOptions


def options_for(database: str) -> list[PgvectorOptions]:
    """The options of each alias that has its collections in a database."""
    try:
        found = [_options(alias) for alias in vector_backends]
    except ConfigurationError:
        return []
    return [options for options in found if options and options.database == database]


def _options(alias: str) -> PgvectorOptions | None:
    """None for another backend, and for a wrong alias, which the system checks tell."""
    try:
        # Not compared with the backend's class: that needs a client, which may be missing.
        if issubclass(vector_backends.resolver(alias).backend_class().Options, PgvectorOptions):
            options: PgvectorOptions = vector_backends[alias].options
            return options
    except ConfigurationError:
        pass
    return None
