"""The view of the pages that are similar to a page, for its editors."""

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

from ...content.titles import title_of
from ...content.visibility import page_model
from ...exceptions import InvalidIndex, InvalidInput, VectorIndexError
from ...indexes.similar import similar_to
from ...indexing.failures import error_text
from ...plugins.redaction import stack_of
from .base import ICON

logger = logging.getLogger(__name__)

_LIMIT = 10


@dataclass(frozen=True, kw_only=True)
class Similar:
    """An object that is similar to the page, with its score and its address."""

    title: str
    url: str | None
    score: float


class SimilarPagesView(WagtailAdminTemplateMixin, View):
    """Lists the pages similar to a page, for users who may edit that page."""

    page_title = gettext_lazy("Similar pages")
    header_icon = ICON
    template_name = "wagtail_vector_index/admin/similar.html"
    #: Whether to return only the list, without the admin page around it. The panel loads it so.
    list_only = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Refuse users who may not edit the page."""
        if not self.page.permissions_for_user(request.user).can_edit():
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def page(self) -> Any:
        """The page, as an instance of its specific class."""
        return get_object_or_404(page_model(), pk=self.kwargs["page_id"]).specific

    def get(self, request: HttpRequest, page_id: int) -> HttpResponse:
        """List the similar pages, or say why they cannot be listed."""
        response: HttpResponse = self.render_to_response(self.get_context_data(**self._found()))
        return response

    def get_template_names(self) -> list[str]:
        """Return the template of the whole page, or of the list alone."""
        if self.list_only:
            return ["wagtail_vector_index/admin/similar_list.html"]
        return [self.template_name]

    def get_page_subtitle(self) -> str:
        """Return the page's title."""
        return str(self.page.get_admin_display_title())

    def get_breadcrumbs_items(self) -> list[dict[str, Any]]:
        """Return the links from the admin's home page, past the page's editor, to this page."""
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
            found = similar_to(
                self.page, self.request.GET.get("index", ""), limit=_LIMIT, request=self.request
            )
            if found is None:
                return {
                    "problem": _("This page is not in a vector index. Perhaps it is unpublished.")
                }
            results = list(found)
        except (InvalidIndex, InvalidInput) as error:
            # The site's code must name an index, or names a wrong one.
            return {"problem": str(error)}
        except Exception as error:  # noqa: BLE001  # from a backend; the editor works without the list
            logger.warning(
                "The pages similar to page %s cannot be shown: %s%s",
                self.page.pk,
                error_text(error),
                "" if isinstance(error, VectorIndexError) else f"\n{stack_of(error)}",
            )
            return {"problem": _("Similar pages cannot be shown at the moment.")}
        finder = AdminURLFinder(self.request.user)
        return {"similar": [self._similar(finder, result) for result in results]}

    def _similar(self, finder: AdminURLFinder, found: Any) -> Similar:
        url = finder.get_edit_url(found) or getattr(found, "full_url", None)
        return Similar(title=title_of(found), url=url, score=found.vector_score)
