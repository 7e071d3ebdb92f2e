"""The addresses of the admin's pages, and the menu item that leads to them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import URLPattern, path
from wagtail.admin.menu import MenuItem
from wagtail.admin.viewsets.base import ViewSet

from .permissions import may_manage
from .views.base import ICON, SECTION
from .views.detail import IndexDetailView
from .views.listing import IndexListView
from .views.rebuilding import RebuildView
from .views.searching import SearchView
from .views.similar import SimilarPagesView


class ManagersMenuItem(MenuItem):
    """A menu item for users who may manage vector indexes."""

    def is_shown(self, request: HttpRequest) -> bool:
        """Return whether the request's user may manage vector indexes."""
        return may_manage(request.user)


class VectorIndexViewSet(ViewSet):
    """The section "Vector indexes"."""

    name = "wagtail_vector_index"
    url_prefix = "vector-indexes"
    icon = ICON
    menu_label = SECTION
    menu_name = "vector-indexes"
    menu_item_class = ManagersMenuItem
    add_to_settings_menu = True

    def get_urlpatterns(self) -> list[URLPattern]:
        """Return the URL patterns, relative to the address of the admin."""
        similar: Any = SimilarPagesView
        return [
            path("", IndexListView.as_view(), name="index"),
            path("similar/<int:page_id>/", similar.as_view(), name="similar"),
            path(
                "similar/<int:page_id>/list/",
                similar.as_view(list_only=True),
                name="similar_list",
            ),
            path("<path:index_name>/rebuild/", RebuildView.as_view(), name="rebuild"),
            path("<path:index_name>/search/", SearchView.as_view(), name="search"),
            path("<path:index_name>/", IndexDetailView.as_view(), name="detail"),
        ]
