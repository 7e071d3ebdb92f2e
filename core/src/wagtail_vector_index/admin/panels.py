"""Panels for the page editor."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from wagtail.admin.panels import Panel
from wagtail.admin.staticfiles import versioned_static

from ..content.visibility import is_page_model

__all__ = ["SimilarPagesPanel"]


class SimilarPagesPanel(Panel):
    """Lists the pages nearest in meaning to the page that is edited, as it was last indexed.

    The browser loads the list after it has shown the editor. So a vector database that is slow
    or down neither delays nor breaks the editor.

    Args:
        index: the name of the index to search. It must be given if several indexes contain the
            page, and its model has none of its own.

    Raises:
        ImproperlyConfigured: the panel is used on a model that is not a page model.

    Example::

        class BlogPage(VectorIndexedMixin, Page):
            promote_panels = [*Page.promote_panels, SimilarPagesPanel()]
    """

    def __init__(self, index: str = "", **kwargs: Any) -> None:
        super().__init__(**{"heading": _("Similar pages"), **kwargs})
        self.index = index

    def clone_kwargs(self) -> dict[str, Any]:
        """Return the arguments of a copy of this panel."""
        return {**super().clone_kwargs(), "index": self.index}

    def on_model_bound(self) -> None:
        """Check the model. Wagtail calls this method once the model is known."""
        if not is_page_model(self.model):
            raise ImproperlyConfigured(
                f"SimilarPagesPanel works only on page models, and {self.model._meta.label} is not"
                " a page model. Remove the panel from that model."
            )

    class BoundPanel(Panel.BoundPanel):
        """The panel of one page."""

        template_name = "wagtail_vector_index/admin/similar_panel.html"

        @property
        def list_url(self) -> str:
            """The address of the list, or "" for a page that is not saved yet."""
            if self.instance.pk is None:
                return ""
            address = reverse("wagtail_vector_index:similar_list", args=[self.instance.pk])
            return (
                f"{address}?{urlencode({'index': self.panel.index})}"
                if self.panel.index
                else address
            )

        class Media:
            js = [versioned_static("wagtail_vector_index/similar_pages.js")]
