"""The view that lists all indexes of the site."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from wagtail.admin import messages
from wagtail.admin.ui.tables import (
    Column,
    DateColumn,
    NumberColumn,
    StatusTagColumn,
    TitleColumn,
)
from wagtail.admin.views.generic.base import BaseListingView

from ...exceptions import ConfigurationError
from ...indexes.registry import all_indexes
from ...indexing.orphans import orphans
from ..state import IndexState
from .base import SECTION, ManagersOnly


class IndexListView(ManagersOnly, BaseListingView):
    """Lists the indexes and their status."""

    page_title = SECTION
    template_name = "wagtail_vector_index/admin/index_list.html"
    results_template_name = "wagtail_vector_index/admin/index_list_results.html"
    index_url_name = "wagtail_vector_index:index"
    columns = [
        TitleColumn("name", label=_("Index"), get_url=lambda state: state.url),
        StatusTagColumn("status", label=_("Status"), primary=lambda state: state.is_fresh),
        NumberColumn("objects", label=_("Objects")),
        NumberColumn("documents", label=_("Chunks")),
        DateColumn("changed_at", label=_("Last change")),
        NumberColumn("pending", label=_("Pending")),
        NumberColumn("failed", label=_("Failed")),
        Column("vector_backend", label=_("Backend")),
        Column("embedding_model", label=_("Model")),
    ]

    def get_queryset(self) -> list[IndexState]:
        """Return the status of every index.

        If an index is declared wrongly, show an error message and return none.
        """
        try:
            indexes = all_indexes()
            for orphan in orphans(index.name for index in indexes):
                messages.warning(self.request, str(orphan.problem))
            return [IndexState(index) for index in indexes]
        except ConfigurationError as error:
            messages.error(self.request, str(error))
            return []

    def get_table_kwargs(self) -> dict[str, Any]:
        """Return the table's arguments, with a caption for screen readers."""
        return {**super().get_table_kwargs(), "caption": SECTION}
