"""The button in the header of a page's editor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from wagtail.admin.widgets.button import Button

from ..indexes import VectorIndex
from ..indexes.registry import all_indexes
from .views.base import ICON


def similar_pages_button(page: Any, user: Any) -> Iterator[Button]:
    """Return a button that leads to the similar pages, if the page's type is indexed."""
    if page.permissions_for_user(user).can_edit() and _is_indexed(page.specific_class):
        yield Button(
            _("Similar pages"),
            url=reverse("wagtail_vector_index:similar", args=[page.pk]),
            icon_name=ICON,
            priority=80,
        )


def _is_indexed(model: Any) -> bool:
    return model is not None and any(_contains(index, model) for index in all_indexes())


def _contains(index: VectorIndex, model: Any) -> bool:
    try:
        return issubclass(model, tuple(index.configuration.models))
    except Exception:  # noqa: BLE001  # from a site's get_querysets(); the system checks report it
        return False
