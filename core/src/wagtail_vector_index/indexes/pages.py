"""Indexes over Wagtail pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from ..keys import key_of
from ..visibility import PrivatePaths
from .base import VectorIndex

__all__ = ["PageVectorIndex"]


class PageVectorIndex(VectorIndex):
    """An index over pages: those that are live and that an anonymous visitor may see.

    Pages under a view restriction are neither embedded nor found.

    Example::

        # vector_indexes.py
        class SiteIndex(PageVectorIndex):
            querysets = [BlogPage.objects.all(), EventPage.objects.filter(cancelled=False)]
    """

    def get_querysets(self) -> list[QuerySet[Any]]:
        """The querysets, without the root of the tree, as specific pages."""
        return [
            queryset.filter(depth__gt=1).specific()  # type: ignore[attr-defined]
            for queryset in super().get_querysets()
        ]

    def visible_keys(self, queryset: QuerySet[Any]) -> Iterable[str]:
        """The keys of the pages of a queryset that an anonymous visitor may see."""
        pages = list(self.live(queryset).order_by().values_list("pk", "path"))
        public = PrivatePaths().public(pages) if pages else ()
        return (key_of(queryset.model, pk) for pk in public)
