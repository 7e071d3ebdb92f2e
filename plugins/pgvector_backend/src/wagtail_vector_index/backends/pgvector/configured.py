"""Finds the aliases in the settings whose collections are in a given database."""

from __future__ import annotations

from wagtail_vector_index.exceptions import ConfigurationError
from wagtail_vector_index.handlers import vector_backends

from .options import PgvectorOptions


def options_for(database: str) -> list[PgvectorOptions]:
    """Return the options of each alias that has its collections in a database."""
    try:
        found = [_options(alias) for alias in vector_backends]
    except ConfigurationError:
        return []
    return [options for options in found if options and options.database == database]


def _options(alias: str) -> PgvectorOptions | None:
    """Return an alias's options. None for other backends, and for errors that checks report."""
    try:
        # The options are compared, because the backend's class needs a client that may be missing.
        if issubclass(vector_backends.resolver(alias).backend_class().Options, PgvectorOptions):
            options: PgvectorOptions = vector_backends[alias].options
            return options
    except ConfigurationError:
        pass
    return None
