"""The Django app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.db.models import Model

    from .indexes.base import VectorIndex


class VectorIndexConfig(AppConfig):
    """Discovers the site's indexes, connects the receivers, and registers the system checks."""

    name = "wagtail_vector_index"
    label = "wagtail_vector_index"
    verbose_name = _("Wagtail Vector Index")
    default_auto_field = "django.db.models.BigAutoField"

    def model_index(self, model: type[Model]) -> VectorIndex:
        """Return the index over all objects of one model.

        The package ``models`` must not import ``indexes``, so the attribute ``vector_index``
        of a model calls this method.
        """
        from .indexes.registry import model_index

        return model_index(model)

    def ready(self) -> None:
        """Set up the app. Django calls this method once all models are loaded."""
        from . import checks
        from .changes.receivers import Receivers
        from .indexes.registry import autodiscover

        checks.register()
        autodiscover()
        #: Kept here because Django holds only weak references to receivers.
        self.receivers = Receivers()
        self.receivers.connect()
