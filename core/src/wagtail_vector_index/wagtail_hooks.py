"""Wagtail's hooks: the admin's pages, its permission and its buttons, and a missing signal.

Each hook imports the modules that it needs when Wagtail calls it, so that processes without
the admin never import them.
"""

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
    """Return the section "Vector indexes" for the settings menu."""
    from .admin.viewset import VectorIndexViewSet

    return VectorIndexViewSet()


@hooks.register("register_permissions")  # type: ignore[untyped-decorator]
def register_permissions() -> QuerySet[Permission]:
    """Return the permission that the section needs, for the form of groups."""
    from .admin.permissions import grantable

    return grantable()


@hooks.register("register_page_header_buttons")  # type: ignore[untyped-decorator]
def register_page_header_buttons(
    page: Any, user: Any, view_name: str, next_url: str | None = None
) -> Iterator[Button]:
    """Return the button "Similar pages" for the editor of an indexed page."""
    from .admin.buttons import similar_pages_button

    return similar_pages_button(page, user)


# Hooks run in this order until one returns a response, as another app's hook may.
@hooks.register("after_bulk_action", order=-1_000)  # type: ignore[untyped-decorator]
def note_bulk_action(
    request: HttpRequest, action_type: str, objects: Iterable[Model], action: Any
) -> None:
    """Note changes of the objects of a bulk action.

    An action may use an update in bulk, for which Django sends no signal. Wagtail's own actions do
    so to put documents and images into another collection, and to set users active or inactive.
    The hook runs in the transaction of the action.
    """
    config = cast("VectorIndexConfig", apps.get_app_config("wagtail_vector_index"))
    config.receivers.after_update(objects)
