"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VectorIndexConfig(AppConfig):
    """Discovers the site's indexes, hears of changes, and registers the system checks."""

    name = "wagtail_vector_index"
    label = "wagtail_vector_index"
    verbose_name = _("Wagtail Vector Index")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Called by Django once all models are loaded."""
        from . import checks
        from .changes.receivers import Receivers
        from .indexes.registry import autodiscover

        checks.register()
        autodiscover()
        #: Django keeps weak references to receivers.
        self.receivers = Receivers()
        self.receivers.connect()
