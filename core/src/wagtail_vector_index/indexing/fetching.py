"""Fetches source objects and the related objects that preparing reads, in few queries.

The number of queries must not grow with the number of objects, since an update reads the texts
of all objects to see which ones have changed.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, prefetch_related_objects

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
    manager: Any = getattr(type(instances[0]), lookup, None)
    if hasattr(manager, "through") and hasattr(manager.through, "lookup_kwargs"):
        _prefetch_tags(instances, manager)
    else:
        prefetch_related_objects(instances, lookup)


def _prefetch_tags(instances: list[Any], manager: Any) -> None:
    """Prefetch the tags of taggit.

    Django's own prefetch would build a query with two joins for each object, which takes longer
    than to read the object. Here, as in Django's own relations, a query is only built if the
    tags of an object are filtered further.
    """
    rows, key_of_tag, key_of_instance, *_ = manager.get_prefetch_querysets(instances)
    tags: dict[Any, list[Any]] = defaultdict(list)
    for tag in rows:
        tags[key_of_tag(tag)].append(tag)
    through, name = manager.through, manager.prefetch_cache_name
    everything, relation = through.tag_model()._default_manager.all(), through.tag_relname()
    for instance in instances:
        wanted = through.lookup_kwargs(instance).items()
        everything._defer_next_filter = True  # noqa: SLF001
        own = everything.filter(**{f"{relation}__{key}": value for key, value in wanted})
        own._result_cache = tags[key_of_instance(instance)]  # noqa: SLF001
        vars(instance).setdefault("_prefetched_objects_cache", {})[name] = own


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
