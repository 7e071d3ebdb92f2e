"""What Wagtail's admin is told. Its modules are imported where it asks, and it alone asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wagtail import hooks

if TYPE_CHECKING:
    from django.contrib.auth.models import Permission
    from django.db.models import QuerySet
    from wagtail.admin.widgets.button import Button

    from .admin.viewset import VectorIndexViewSet


@hooks.register("register_admin_viewset")  # type: ignore[untyped-decorator]
def register_viewset() -> VectorIndexViewSet:
    """The section "Vector indexes"."""
    from .admin.viewset import VectorIndexViewSet

    return VectorIndexViewSet()


@hooks.register("register_permissions")  # type: ignore[untyped-decorator]
def register_permissions() -> QuerySet[Permission]:
    """The permission that the section needs, for the groups' form."""
    from .admin.permissions import grantable

    return grantable()


@hooks.register("register_page_header_buttons")  # type: ignore[untyped-decorator]
def register_page_header_buttons(
    page: Any, user: Any, view_name: str, next_url: str | None = None
) -> Iterator[Button]:
    """The button "Similar pages"."""
    from .admin.buttons import similar_pages_button

    return similar_pages_button(page, user)
