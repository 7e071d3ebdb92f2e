"""Starts a rebuild of an index, once it is confirmed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View
from wagtail.admin import messages

from ...changes.starting import start_rebuild
from ..errors import told
from .base import OneIndexMixin


class RebuildView(OneIndexMixin, View):
    """Asks whether to rebuild, and starts it. The rebuild itself runs outside of the request."""

    page_title = gettext_lazy("Rebuild")
    template_name = "wagtail_vector_index/admin/confirm_rebuild.html"

    def get(self, request: HttpRequest, index_name: str) -> HttpResponse:
        """Ask."""
        response: HttpResponse = self.render_to_response(self.get_context_data())
        return response

    def post(self, request: HttpRequest, index_name: str) -> HttpResponse:
        """Start it."""
        try:
            start_rebuild(self.index.name)
        except Exception as error:  # noqa: BLE001  # of a task queue or a backend, and told
            messages.error(request, told(error, self.index))
        else:
            messages.success(
                request,
                _("The rebuild of %(index)s is started.") % {"index": self.index.name},
            )
        return redirect(self.state.url)
