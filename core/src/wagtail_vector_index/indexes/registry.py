"""Finds the site's indexes: those in ``vector_indexes.py``, and one for each mixin model."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.utils.module_loading import autodiscover_modules

from ..content.object_keys import object_key
from ..content.visibility import is_page_model
from ..exceptions import InvalidIndex
from ..models.tables import Collection, Document
from .base import VectorIndex
from .pages import PageVectorIndex

MODULE = "vector_indexes"

#: What gives the content of an index that does not override it.
_DEFAULTS = (VectorIndex.get_querysets, PageVectorIndex.get_querysets)


def autodiscover() -> None:
    """Import every app's ``vector_indexes.py``."""
    autodiscover_modules(MODULE)


def all_indexes() -> list[VectorIndex]:
    """Every index of the site: the declared ones, then those of models."""
    return [*_declared(), *(model_index(model) for model in _indexed_models())]


def get_index(name: str) -> VectorIndex:
    """The index of this name, whatever its case; the part after the dot is enough.

    Raises:
        InvalidIndex: there is none, or more than one; the message lists what there is.
    """
    indexes = all_indexes()
    wanted = name.lower()
    found = [index for index in indexes if index.name.lower() == wanted] or [
        index for index in indexes if index.name.lower().rpartition(".")[2] == wanted
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(index.name for index in found or indexes) or "none"
    problem = "is the name of several vector indexes" if found else "is not a vector index"
    raise InvalidIndex(f"{name!r} {problem}. There are: {names}.")


def index_holding(instance: Model) -> VectorIndex | None:
    """The first index, declared ones before those of models, that has documents of an object."""
    active = Collection.objects.filter(
        state=Collection.State.ACTIVE,
        index__in=[index.name for index in all_indexes()],
    )
    rows = Document.objects.filter(
        object_key=object_key(instance), deleted_at=None, collection__in=active
    )
    holding = set(rows.values_list("collection__index", flat=True))
    return next((index for index in all_indexes() if index.name in holding), None)


@functools.cache
def model_index(model: type[Model]) -> VectorIndex:
    """The index over all objects of one model; a proxy shares that of its model.

    Raises:
        InvalidIndex: if the model is abstract, and has no objects.
    """
    if model._meta.abstract:
        raise InvalidIndex(f"{model.__name__} is abstract: only concrete models have an index.")
    if model._meta.proxy:
        return model_index(model._meta.concrete_model)
    base = PageVectorIndex if is_page_model(model) else VectorIndex
    attributes = {
        "name": model._meta.label,
        # The manager itself, since what it gives may depend on the moment.
        "querysets": [model._default_manager],
        "__module__": model.__module__,
    }
    index: VectorIndex = type(f"{model.__name__}Index", (base,), attributes)()
    return index


def _declared() -> Iterator[VectorIndex]:
    for config in apps.get_app_configs():
        module = sys.modules.get(f"{config.name}.{MODULE}")
        for value in vars(module).values() if module else ():
            if _is_index_of(value, module):
                yield value()


def _is_index_of(value: Any, module: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, VectorIndex)
        and value.__module__ == module.__name__
        and (value.querysets != () or value.get_querysets not in _DEFAULTS)
    )


def _indexed_models() -> Iterator[type[Model]]:
    from ..models.mixin import ModelIndexDescriptor, VectorIndexedMixin

    for model in apps.get_models():
        if issubclass(model, VectorIndexedMixin) and not model._meta.proxy:
            descriptor = inspect.getattr_static(model, "vector_index")
            if isinstance(descriptor, ModelIndexDescriptor):
                yield model
