"""Indexes over Wagtail pages."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from ..content.visibility import is_page_model
from .base import VectorIndex

__all__ = ["PageVectorIndex"]


class PageVectorIndex(VectorIndex):
    """An index that returns pages as instances of their specific class, such as ``BlogPage``.

    Its querysets may also be of other models.

    Example::

        # vector_indexes.py
        class SiteIndex(PageVectorIndex):
            querysets = [BlogPage.objects.all(), EventPage.objects.filter(cancelled=False)]
    """

    def get_querysets(self) -> list[QuerySet[Any]]:
        """Return the querysets, so that page querysets return specific instances."""
        querysets: list[Any] = super().get_querysets()
        return [
            queryset.specific() if _may_be_of_other_classes(queryset.model) else queryset
            for queryset in querysets
        ]


def _may_be_of_other_classes(model: type[Any]) -> bool:
    """Return whether pages of a model may be instances of other classes than the model.

    For these, Wagtail needs one more query for each class.
    """
    return is_page_model(model) and bool(model._meta.proxy or model.__subclasses__())
