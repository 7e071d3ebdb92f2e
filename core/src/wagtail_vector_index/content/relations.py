"""The relations that attributes of models follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignObjectRel, Model, QuerySet

__all__ = ["is_generic", "points_generically", "prefetched", "relation", "relations_along"]


def relation(model: type[Model], name: str) -> Any:
    """Return the relation that an attribute follows, or None if it is no relation.

    A relation in reverse has two names: one for queries, and the attribute's, such as
    ``book_set``. The attribute's name counts.
    """
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if field is None or _is_of_another_name(field, name):
        fields = (f for f in model._meta.get_fields() if isinstance(f, ForeignObjectRel))
        field = next((f for f in fields if f.get_accessor_name() == name), None)
    return field if field is not None and field.is_relation else None


def relations_along(model: type[Model], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the names at the beginning of a path that are relations, with their relations."""
    current: Any = model
    for name in path.split("__"):
        field = relation(current, name)
        if field is None:
            return
        yield name, field
        current = field.related_model
        if not isinstance(current, type):
            return  # a generic foreign key leads to objects of any model


def prefetched(instance: Any, name: str) -> QuerySet[Any] | None:
    """Return the related objects that were prefetched for an attribute, or None if none were.

    They are those that the attribute's own manager would return. It is not asked, since to make a
    manager for each object takes longer than to read the objects.
    """
    if getattr(instance, "_cluster_related_objects", None):
        return None  # related objects of modelcluster that were changed and not saved yet
    cache = getattr(instance, "_prefetched_objects_cache", None)
    return cache.get(name) if isinstance(cache, dict) else None


def is_generic(field: Any) -> bool:
    """Return whether a field is a generic foreign key, which may point to any model."""
    return hasattr(field, "ct_field") and hasattr(field, "fk_field")


def points_generically(field: Any) -> bool:
    """Return whether a relation is the other direction of a generic foreign key."""
    return hasattr(field, "object_id_field_name") and hasattr(field, "content_type_field_name")


def _is_of_another_name(field: Any, name: str) -> bool:
    return isinstance(field, ForeignObjectRel) and field.get_accessor_name() != name
