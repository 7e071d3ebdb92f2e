"""The view that starts a rebuild of an index, after a confirmation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View
from wagtail.admin import messages

from ...changes.starting import start_rebuild
from ..errors import message_of
from .base import OneIndexMixin


class RebuildView(OneIndexMixin, View):
    """Asks for confirmation and starts a rebuild, which runs outside the request."""

    page_title = gettext_lazy("Rebuild")
    template_name = "wagtail_vector_index/admin/confirm_rebuild.html"

    def get(self, request: HttpRequest, index_name: str) -> HttpResponse:
        """Ask for confirmation."""
        response: HttpResponse = self.render_to_response(self.get_context_data())
        return response

    def post(self, request: HttpRequest, index_name: str) -> HttpResponse:
        """Start the rebuild."""
        try:
            start_rebuild(self.index.name)
        except Exception as error:  # noqa: BLE001  # from a task queue or backend, and shown
            messages.error(request, message_of(error, self.index))
        else:
            messages.success(
                request,
                _("The rebuild of %(index)s has started.") % {"index": self.index.name},
            )
        return redirect(self.state.url)
