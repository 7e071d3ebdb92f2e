"""Mixins for the views of the section "Vector indexes"."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from wagtail.admin.views.generic.base import WagtailAdminTemplateMixin
from wagtail.admin.views.generic.permissions import PermissionCheckedMixin

from ...exceptions import InvalidIndex
from ...indexes import VectorIndex
from ...indexes.registry import get_index
from ..permissions import MANAGE, policy
from ..state import IndexState, index_url

SECTION = _("Vector indexes")
ICON = "crosshairs"


class ManagersOnly(PermissionCheckedMixin):
    """Refuses users who may not manage vector indexes."""

    permission_policy = policy
    permission_required = MANAGE
    header_icon = ICON


class OneIndexMixin(ManagersOnly, WagtailAdminTemplateMixin):
    """A view of the index that is named in the address."""

    request: HttpRequest
    kwargs: dict[str, Any]

    breadcrumbs_items = [
        *WagtailAdminTemplateMixin.breadcrumbs_items,
        {"url": reverse_lazy("wagtail_vector_index:index"), "label": SECTION},
    ]

    @cached_property
    def index(self) -> VectorIndex:
        """The index.

        Raises:
            Http404: no index has this name.
        """
        try:
            return get_index(self.kwargs["index_name"])
        except InvalidIndex as error:
            raise Http404(str(error)) from error

    @cached_property
    def state(self) -> IndexState:
        """The status of the index."""
        return IndexState(self.index)

    def get_page_subtitle(self) -> str:
        """Return the index's name."""
        return self.index.name

    def get_breadcrumbs_items(self) -> list[dict[str, Any]]:
        """Return the links from the admin's home page to this page."""
        here = {
            "url": "",
            "label": self.get_page_title(),
            "sublabel": self.get_page_subtitle(),
        }
        return [*self.breadcrumbs_items, *self.get_parents(), here]

    def get_parents(self) -> list[dict[str, Any]]:
        """Return the links between the section's first page and this page."""
        return [{"url": index_url("detail", self.index), "label": self.index.name}]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the template's context, with the status of the index."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, "state": self.state}
