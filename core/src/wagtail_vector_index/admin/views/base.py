"""What the pages of the section share."""

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
    """Refuses everyone who may not look after vector indexes."""

    permission_policy = policy
    permission_required = MANAGE
    header_icon = ICON


class OneIndexMixin(ManagersOnly, WagtailAdminTemplateMixin):
    """A page of one index, which its address names."""

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
            Http404: there is none of this name.
        """
        try:
            return get_index(self.kwargs["index_name"])
        except InvalidIndex as error:
            raise Http404(str(error)) from error

    @cached_property
    def state(self) -> IndexState:
        """How the index is doing."""
        return IndexState(self.index)

    def get_page_subtitle(self) -> str:
        """The index's name."""
        return self.index.name

    def get_breadcrumbs_items(self) -> list[dict[str, Any]]:
        """The way from home over the index to this page."""
        here = {
            "url": "",
            "label": self.get_page_title(),
            "sublabel": self.get_page_subtitle(),
        }
        return [*self.breadcrumbs_items, *self.get_parents(), here]

    def get_parents(self) -> list[dict[str, Any]]:
        """The pages between the section's first page and this one."""
        return [{"url": index_url("detail", self.index), "label": self.index.name}]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The context of the template, with the state of the index."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, "state": self.state}
