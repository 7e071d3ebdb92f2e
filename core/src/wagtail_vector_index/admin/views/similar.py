"""The pages that are like one page, for its editor."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View
from wagtail.admin.admin_url_finder import AdminURLFinder
from wagtail.admin.views.generic.base import WagtailAdminTemplateMixin

from ...content.visibility import page_model
from ...exceptions import VectorIndexError
from ...indexes.registry import index_holding
from ...plugins.redaction import redacted, traceback_to_log
from ...wording import describe
from .base import ICON

logger = logging.getLogger(__name__)

_LIMIT = 10


@dataclass(frozen=True, kw_only=True)
class Similar:
    """An object that is like the page, with its score and where to look at it."""

    title: str
    url: str | None
    score: float


class SimilarPagesView(WagtailAdminTemplateMixin, View):
    """Lists similar pages to those who may edit the page."""

    page_title = gettext_lazy("Similar pages")
    header_icon = ICON
    template_name = "wagtail_vector_index/admin/similar.html"
    #: Whether only the list is asked for, as the panel does.
    list_only = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Refuse those who may not edit the page."""
        if not self.page.permissions_for_user(request.user).can_edit():
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def page(self) -> Any:
        """The page, as what it is."""
        return get_object_or_404(page_model(), pk=self.kwargs["page_id"]).specific

    def get(self, request: HttpRequest, page_id: int) -> HttpResponse:
        """List them, or say why that cannot be done."""
        response: HttpResponse = self.render_to_response(self.get_context_data(**self._found()))
        return response

    def get_template_names(self) -> list[str]:
        """The whole page, or the list alone."""
        if self.list_only:
            return ["wagtail_vector_index/admin/similar_list.html"]
        return [self.template_name]

    def get_page_subtitle(self) -> str:
        """The page's title."""
        return str(self.page.get_admin_display_title())

    def get_breadcrumbs_items(self) -> list[dict[str, Any]]:
        """The way from home over the page's editor to this page."""
        edit_url = AdminURLFinder(self.request.user).get_edit_url(self.page)
        return [
            *self.breadcrumbs_items,
            {"url": edit_url, "label": self.get_page_subtitle()},
            {
                "url": "",
                "label": self.get_page_title(),
                "sublabel": self.get_page_subtitle(),
            },
        ]

    def _found(self) -> dict[str, Any]:
        try:
            index = index_holding(self.page)
            if index is None:
                return {"problem": _("This page is in no vector index: it may not be published.")}
            results = list(index.find_similar(self.page, limit=_LIMIT, request=self.request))
        except Exception as error:  # of a backend: the editor goes on without it
            logger.warning(
                "The pages similar to page %s are not shown: %s",
                self.page.pk,
                redacted(describe(error)),
                exc_info=None if isinstance(error, VectorIndexError) else traceback_to_log(error),
            )
            return {"problem": _("Similar pages cannot be shown at the moment.")}
        finder = AdminURLFinder(self.request.user)
        return {"similar": [self._similar(finder, result) for result in results]}

    def _similar(self, finder: AdminURLFinder, found: Any) -> Similar:
        url = finder.get_edit_url(found) or getattr(found, "full_url", None)
        return Similar(title=str(found), url=url, score=found.vector_score)
