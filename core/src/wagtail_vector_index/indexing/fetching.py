"""Fetches source objects and the related objects that preparing reads, in few queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, prefetch_related_objects
from modelcluster.models import ClusterableModel

from ..content.declaration import IndexDeclaration


def fetch_to_prepare(index: IndexDeclaration, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects with these keys, with their related objects prefetched."""
    instances = index.fetch(keys)
    by_model: dict[type[Model], list[Any]] = defaultdict(list)
    for instance in instances.values():
        by_model[type(instance)].append(instance)
    for model, group in by_model.items():
        prefetch_related_objects(group, *_relations(index, model))
    return instances


def _relations(index: IndexDeclaration, model: type[Model]) -> list[str]:
    """Return the relations through which texts and filter values of a model are read."""
    configuration = index.configuration.of(index, model)
    paths = [field.name for field in configuration.embedding_fields]
    paths += [field.source for field, _ in configuration.filter_fields]
    names = dict.fromkeys(path.partition("__")[0] for path in paths)
    return [name for name in names if _can_prefetch(model, name)]


def _can_prefetch(model: type[Model], name: str) -> bool:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    if field.many_to_one or field.one_to_one:
        return True
    # Children of a ClusterableModel may exist only in memory, which a prefetch would overlook.
    return bool(field.is_relation and field.auto_created) and not issubclass(
        model, ClusterableModel
    )
