"""What Wagtail's admin is told. Its modules are imported where it asks, and it alone asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from wagtail import hooks

if TYPE_CHECKING:
    from django.contrib.auth.models import Permission
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest
    from wagtail.admin.widgets.button import Button

    from .admin.viewset import VectorIndexViewSet
    from .apps import VectorIndexConfig


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


@hooks.register("after_bulk_action")  # type: ignore[untyped-decorator]
def note_moved_to_collection(
    request: HttpRequest, action_type: str, objects: Iterable[Model], action: Any
) -> None:
    """Documents and images were put into another collection, which sends no signal."""
    if action_type == "add_to_collection":
        config = cast("VectorIndexConfig", apps.get_app_config("wagtail_vector_index"))
        config.receivers.after_update(objects)
