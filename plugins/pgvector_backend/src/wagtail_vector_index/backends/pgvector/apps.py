"""The Django app, which brings the table of the tables."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class PgvectorConfig(AppConfig):
    """The label is not "pgvector": the older project of this name has migrations under that."""

    name = "wagtail_vector_index.backends.pgvector"
    label = "wagtail_vector_index_pgvector"
    verbose_name = _("Wagtail Vector Index: PostgreSQL")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Called by Django once all models are loaded."""
        from .checks import check_tables

        checks.register(check_tables, checks.Tags.database)
