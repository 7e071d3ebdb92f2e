"""Indexes over Wagtail pages."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from ..content.visibility import is_page_model
from .base import VectorIndex

__all__ = ["PageVectorIndex"]


class PageVectorIndex(VectorIndex):
    """An index whose pages come as what they are, ``BlogPage`` rather than ``Page``.

    Its querysets may hold other models as well.

    Example::

        # vector_indexes.py
        class SiteIndex(PageVectorIndex):
            querysets = [BlogPage.objects.all(), EventPage.objects.filter(cancelled=False)]
    """

    def get_querysets(self) -> list[QuerySet[Any]]:
        """The querysets, those of pages with specific pages."""
        querysets: list[Any] = super().get_querysets()
        return [
            queryset.specific() if is_page_model(queryset.model) else queryset
            for queryset in querysets
        ]
