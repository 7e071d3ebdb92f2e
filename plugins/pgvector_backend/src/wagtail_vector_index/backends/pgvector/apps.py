"""The Django app, with the model that lists the tables of vectors."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class PgvectorConfig(AppConfig):
    """The app of the backend. An older project already uses the label "pgvector"."""

    name = "wagtail_vector_index.backends.pgvector"
    label = "wagtail_vector_index_pgvector"
    verbose_name = _("Wagtail Vector Index: PostgreSQL")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system check. Django calls this method once all models are loaded."""
        from .checks import check_tables

        checks.register(check_tables, checks.Tags.database)
