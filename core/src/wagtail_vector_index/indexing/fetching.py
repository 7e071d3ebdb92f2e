"""Fetches source objects and the related objects that preparing reads, in few queries.

The number of queries must not grow with the number of objects, since an update reads the texts
of all objects to see which ones have changed.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, prefetch_related_objects
from django.db.models.fields.related_descriptors import ManyToManyDescriptor
from modelcluster.fields import ParentalManyToManyDescriptor

from ..content.declaration import IndexDeclaration
from ..content.language import is_translatable
from ..content.relations import relations_along
from ..content.text import convert_streams

#: Errors of a value, or of a site's own manager, that cannot be read for many objects together.
#: Such values are read object by object, and an error then concerns that object alone.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, ValidationError)


def fetch_to_prepare(index: IndexDeclaration, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects with these keys, with all that their fields read of other objects."""
    instances = index.fetch(keys)
    by_model: dict[type[Model], list[Any]] = defaultdict(list)
    for instance in instances.values():
        by_model[type(instance)].append(instance)
    for model, group in by_model.items():
        paths = index.configuration.of(index, model).paths
        for lookup in _lookups(model, paths):
            with contextlib.suppress(*_UNREADABLE):
                _prefetch(group, lookup)
        for path in paths:
            with contextlib.suppress(*_UNREADABLE):
                _convert_streams_at(group, path)
    return instances


def _lookups(model: type[Model], paths: Iterable[str]) -> list[str]:
    """Return the relations through which texts and filter values of a model are read."""
    found = {"locale": None} if is_translatable(model) else {}
    for path in paths:
        names = [name for name, _ in relations_along(model, path)]
        if names:
            found["__".join(names)] = None
    return list(found)


def _prefetch(instances: list[Any], lookup: str) -> None:
    attribute: Any = getattr(type(instances[0]), lookup, None)
    through: Any = getattr(attribute, "through", None)
    # Not the descriptors of other libraries, whose managers may do more.
    if type(attribute) in (ManyToManyDescriptor, ParentalManyToManyDescriptor):
        manager = getattr(instances[0], lookup)
        # A relation of modelcluster has Django's own manager inside its manager.
        manager = getattr(manager, "get_original_manager", lambda: manager)()
        name = manager.query_field_name
        columns = [
            (f"{name}__{field.name}", field.attname)
            for field in manager.source_field.foreign_related_fields
        ]
        _prefetch_many(
            instances,
            manager,
            lambda one: {name: getattr(one, column) for name, column in columns},
        )
    elif hasattr(through, "lookup_kwargs"):
        relation = through.tag_relname()
        _prefetch_many(
            instances,
            attribute,
            lambda one: {f"{relation}__{k}": v for k, v in through.lookup_kwargs(one).items()},
        )
    else:
        prefetch_related_objects(instances, lookup)


def _prefetch_many(
    instances: list[Any], manager: Any, filters: Callable[[Any], dict[str, Any]]
) -> None:
    """Prefetch a relation to many objects: one of Django or modelcluster, or the tags of taggit.

    Django's own prefetch would make a manager and build a query for each object, which takes
    longer than to read the object. Here, a query is only built if the related objects of an object
    are filtered further.

    Args:
        instances: the objects.
        manager: the manager of the relation.
        filters: returns the conditions for the objects that are related to an object.
    """
    # What the site's own queryset or a longer path has prefetched stays.
    known = manager.prefetch_cache_name
    instances = [one for one in instances if known not in _prefetched(one)]
    if not instances:
        return
    rows, key_of_row, key_of_instance, _, name, _ = manager.get_prefetch_querysets(instances)
    related: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        related[key_of_row(row)].append(row)
    everything = rows.model._default_manager.using(rows.db)._next_is_sticky()  # noqa: SLF001
    for instance in instances:
        everything._defer_next_filter = True  # noqa: SLF001
        own = everything.filter(**filters(instance))
        own._result_cache = related[key_of_instance(instance)]  # noqa: SLF001
        own._prefetch_done = True  # noqa: SLF001
        _prefetched(instance)[name] = own


def _prefetched(instance: Any) -> dict[str, Any]:
    found: dict[str, Any] = vars(instance).setdefault("_prefetched_objects_cache", {})
    return found


def _convert_streams_at(instances: Sequence[Any], path: str) -> None:
    """Convert the StreamField at the end of a path for all objects, chosen objects included."""
    names = path.split("__")
    related = [name for name, _ in relations_along(type(instances[0]), path)]
    if len(related) == len(names) - 1:
        convert_streams(list(_followed(instances, related)), names[-1])


def _followed(instances: Iterable[Any], names: Sequence[str]) -> Iterator[Any]:
    """Yield the objects at the end of a path of relations, which are prefetched."""
    for instance in instances:
        value = getattr(instance, names[0], None) if names else instance
        if value is None:
            continue
        if names:
            yield from _followed(value.all() if hasattr(value, "all") else [value], names[1:])
        else:
            yield value
