"""Querysets that a filter leaves as they are otherwise."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

__all__ = ["independent", "is_independent"]


def is_independent(queryset: QuerySet[Any]) -> bool:
    """Return whether each object is in a queryset whatever the others are.

    Which rows a slice, DISTINCT ON or a window function keeps depends on all rows, so a filter on
    such a queryset would bring other objects, or is refused.
    """
    query: Any = queryset.query
    return not (
        query.is_sliced
        or query.combinator
        or query.distinct_fields
        or query.where.contains_over_clause
    )


def independent(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return a queryset of the same objects that is independent, without annotations and order."""
    if is_independent(queryset):
        return queryset
    everything = queryset.model._base_manager.using(queryset.db)  # noqa: SLF001  # hides no objects
    found: QuerySet[Any] = everything.filter(pk__in=queryset.values("pk"))
    if getattr(queryset, "_fields", None) is not None:  # it is made of values
        return found
    chosen = queryset.all()  # for the class of its pages, and what it prefetches
    query: Any = found.query
    query.select_related = chosen.query.select_related
    query.deferred_loading = chosen.query.deferred_loading
    chosen.query = query
    return chosen
