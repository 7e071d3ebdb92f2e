"""The view that tries a query, and shows what of an index matches, with the scores."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.generic import View
from wagtail.coreutils import get_content_languages, get_supported_content_language_variant

from ..chunks import objects_found
from ..errors import message_of
from .base import OneIndexMixin

_LONGEST_QUERY = 1_000


class QueryForm(forms.Form):
    """The form for the text to search for, and for how to search.

    Nobody can search as another user, who may see what they may not see themselves. The language
    can be chosen if the site's content has several, since the active language is the editor's.
    """

    q = forms.CharField(label=_("Query"), max_length=_LONGEST_QUERY)
    mode = forms.ChoiceField(
        label=_("Search"),
        choices=[("vector", _("by meaning")), ("hybrid", _("by meaning and words"))],
        required=False,
    )
    threshold = forms.FloatField(
        label=_("Lowest score"),
        required=False,
        help_text=_(
            "What an object's score must reach. Leave this empty to find the nearest, however far"
            " away they are."
        ),
    )
    visitor = forms.ChoiceField(
        label=_("Who searches"),
        choices=[("me", _("you, as a visitor of the site")), ("anyone", _("an anonymous visitor"))],
        required=False,
    )
    language = forms.ChoiceField(label=_("Language of the query"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the languages of the content."""
        super().__init__(*args, **kwargs)
        languages = get_content_languages()
        if len(languages) < 2:
            del self.fields["language"]
            return
        field: Any = self.fields["language"]
        field.choices = list(languages.items())
        field.initial = get_supported_content_language_variant(settings.LANGUAGE_CODE)


class SearchView(OneIndexMixin, View):
    """Shows the objects that a search finds for the current user, with their chunks."""

    page_title = _("Try a query")
    template_name = "wagtail_vector_index/admin/search.html"

    def get(self, request: HttpRequest, index_name: str) -> HttpResponse:
        """Show the form and, if it holds a query, what was found."""
        form = QueryForm(request.GET if "q" in request.GET else None)
        found: dict[str, Any] = {}
        if form.is_valid():
            found = self._found(**form.cleaned_data)
        context = self.get_context_data(form=form, **found)
        response: HttpResponse = self.render_to_response(context)
        return response

    def _found(
        self, q: str, mode: str, threshold: float | None, visitor: str, language: str = ""
    ) -> dict[str, Any]:
        try:
            found = objects_found(
                self.index,
                q,
                self.request,
                as_visitor=visitor == "anyone",
                mode="hybrid" if mode == "hybrid" else "vector",
                threshold=threshold,
                language=language,
            )
        except Exception as error:  # noqa: BLE001  # from a backend, and shown
            return {"search_problem": message_of(error, self.index)}
        return {"found": found}
