"""Panels for the page editor."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from wagtail.admin.panels import Panel
from wagtail.admin.staticfiles import versioned_static

from ..content.visibility import is_page_model

__all__ = ["SimilarPagesPanel"]


class SimilarPagesPanel(Panel):
    """Lists the pages nearest in meaning to the one that is edited, as it was last indexed.

    The list is loaded once the editor is shown: neither is kept waiting by a vector
    database, nor disturbed by one that is down.

    Raises:
        ImproperlyConfigured: it is used on a model that is no page.

    Example::

        class BlogPage(VectorIndexedMixin, Page):
            promote_panels = [*Page.promote_panels, SimilarPagesPanel()]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"heading": _("Similar pages"), **kwargs})

    def on_model_bound(self) -> None:
        """Called by Wagtail once the model is known."""
        if not is_page_model(self.model):
            raise ImproperlyConfigured(
                f"SimilarPagesPanel is for pages, and {self.model._meta.label} is none."
                " Remove it from the panels of that model."
            )

    class BoundPanel(Panel.BoundPanel):
        """The panel of one page."""

        template_name = "wagtail_vector_index/admin/similar_panel.html"

        @property
        def list_url(self) -> str:
            """Where the list is; nowhere for a page that is not yet saved."""
            if self.instance.pk is None:
                return ""
            return reverse("wagtail_vector_index:similar_list", args=[self.instance.pk])

        class Media:
            js = [versioned_static("wagtail_vector_index/similar_pages.js")]
