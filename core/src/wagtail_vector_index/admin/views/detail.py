"""The view of one index, with its status and its pending changes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Value, When
from django.utils.formats import date_format
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext_lazy as _
from wagtail.admin.admin_url_finder import AdminURLFinder
from wagtail.admin.ui.tables import Column, DateColumn, NumberColumn, TitleColumn
from wagtail.admin.views.generic.base import BaseListingView

from ...content.titles import title_of
from ...indexing.failures import FAILED
from ...models.tables import PendingChange
from ..errors import readable
from ..state import index_url
from .base import OneIndexMixin


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """A row of the table of pending changes."""

    change: PendingChange
    last_error: str
    next_attempt: str
    title: str
    edit_url: str | None


class IndexDetailView(OneIndexMixin, BaseListingView):
    """Shows the status of an index, and lists its pending changes, failed changes first."""

    template_name = "wagtail_vector_index/admin/index_detail.html"
    results_template_name = "wagtail_vector_index/admin/pending_changes.html"
    paginate_by = 50
    columns = [
        TitleColumn("title", label=_("Changed object"), get_url=lambda row: row.edit_url),
        Column("last_error", label=_("Last error"), classname="w-break-words"),
        Column("change.get_scope_display", label=_("What changed")),
        NumberColumn("change.attempts", label=_("Attempts")),
        DateColumn("change.created_at", label=_("Changed")),
        Column("next_attempt", label=_("Next attempt")),
    ]

    def get_page_title(self) -> str:
        """Return the index's name."""
        return self.index.name

    def get_page_subtitle(self) -> str:
        """Return no subtitle, since the title is the index's name already."""
        return ""

    def get_parents(self) -> list[dict[str, Any]]:
        """Return no links, since the section's first page lists the indexes."""
        return []

    def get_queryset(self) -> Any:
        """Return the pending changes, failed changes first, then in the order they were made."""
        failed_first = Case(When(FAILED, then=Value(0)), default=Value(1))
        return PendingChange.objects.filter(index=self.index.name).order_by(failed_first, "pk")

    def get_index_url(self) -> str:
        """Return this page's address, for the links to more changes."""
        return index_url("detail", self.index)

    def get_table(self, object_list: Any) -> Any:
        """Return the table of the changes on the current page of the list."""
        return super().get_table(self._rows(list(object_list)))

    def get_table_kwargs(self) -> dict[str, Any]:
        """Return the table's arguments, with a caption for screen readers."""
        return {**super().get_table_kwargs(), "caption": _("Pending changes")}

    def _rows(self, changes: list[PendingChange]) -> list[ChangeRow]:
        objects = self._objects([change.object_key for change in changes])
        finder = AdminURLFinder(self.request.user)
        rows = []
        for change in changes:
            changed = objects.get(change.object_key)
            url = None if changed is None else finder.get_edit_url(changed)
            rows.append(
                ChangeRow(
                    change=change,
                    last_error=readable(change.last_error, self.index),
                    next_attempt=_shown(change.next_attempt),
                    # Only users who may edit an object may read its title.
                    title=title_of(changed) if changed and url else change.object_key,
                    edit_url=url,
                )
            )
        return rows

    def _objects(self, keys: list[str]) -> dict[str, Any]:
        try:
            return self.index.fetch(list(dict.fromkeys(keys)))
        except Exception:  # noqa: BLE001  # from a site's own querysets; the list shows keys instead
            return {}


def _shown(moment: dt.datetime) -> str:
    # On a site without time zones (USE_TZ = False), datetimes are naive.
    return date_format(localtime(moment) if is_aware(moment) else moment, "SHORT_DATETIME_FORMAT")
