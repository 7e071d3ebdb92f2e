"""The view that lists all indexes of the site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _
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

    #: What the template shows above the list: what is wrong with the declaration of an index,
    #: and what is stored of indexes that are no longer in the code.
    mistake: str = ""
    orphans: Sequence[str] = ()

    def get_queryset(self) -> list[IndexState]:
        """Return the status of every index, or none if an index is declared wrongly."""
        try:
            indexes = all_indexes()
        except ConfigurationError as error:
            self.mistake = str(error)
            return []
        self.orphans = [str(one.problem) for one in orphans(index.name for index in indexes)]
        return [IndexState(index) for index in indexes]

    def get_table_kwargs(self) -> dict[str, Any]:
        """Return the table's arguments, with a caption for screen readers."""
        return {**super().get_table_kwargs(), "caption": SECTION}
