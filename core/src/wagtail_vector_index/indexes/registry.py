"""The registry of the site's indexes.

It has the indexes in each app's ``vector_indexes``, and one index for each model with the mixin.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.utils.module_loading import autodiscover_modules

from ..content.object_keys import object_keys
from ..content.visibility import is_page_model
from ..exceptions import InvalidIndex
from ..models.tables import Collection, Document
from ..models.tenants import needing_tables
from ..wording import shown
from .base import VectorIndex
from .pages import PageVectorIndex

MODULE = "vector_indexes"

#: The methods that give the content of an index which overrides neither.
_DEFAULTS = (VectorIndex.get_querysets, PageVectorIndex.get_querysets)


def autodiscover() -> None:
    """Import every app's ``vector_indexes``, a module or a package."""
    autodiscover_modules(MODULE)


def all_indexes() -> list[VectorIndex]:
    """Return every index of the site: first declared indexes, then the indexes of models."""
    return [*_declared(), *(model_index(model) for model in _indexed_models())]


def get_index(name: str | VectorIndex) -> VectorIndex:
    """Return the index of this name. Case does not matter, and the part after the dot is enough.

    An index is returned as it is, so a site may pass either.

    Raises:
        InvalidIndex: no index, or more than one, has this name; the message lists the names.
    """
    if isinstance(name, VectorIndex):
        return name
    indexes = all_indexes()
    wanted = str(name).lower()
    found = [index for index in indexes if index.name.lower() == wanted] or [
        index for index in indexes if index.name.lower().rpartition(".")[2] == wanted
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(index.name for index in found or indexes) or "none"
    problem = "is the name of several vector indexes" if found else "is not a vector index"
    raise InvalidIndex(f"{shown(name)} {problem}. Available: {names}.")


def indexes_holding(instance: Model) -> list[VectorIndex]:
    """Return the indexes that contain an object: first declared indexes, then indexes of models.

    Raises:
        IndexNotBuilt: there are no index tables.
    """
    indexes = all_indexes()
    active = Collection.objects.filter(
        state=Collection.State.ACTIVE,
        index__in=[index.name for index in indexes],
    )
    rows = Document.objects.filter(
        object_key__in=object_keys(instance), deleted_at=None, collection__in=active
    )
    with needing_tables():
        holding = set(rows.values_list("collection__index", flat=True))
    return [index for index in indexes if index.name in holding]


@functools.cache
def model_index(model: type[Model]) -> VectorIndex:
    """Return the index over all objects of a model. A proxy shares the index of its model.

    Raises:
        InvalidIndex: the model is abstract, so it has no objects.
    """
    if model._meta.abstract:
        raise InvalidIndex(
            f"{model.__name__} is abstract, and only concrete models have an index. Use the index"
            " of a concrete subclass."
        )
    if model._meta.proxy:
        return model_index(model._meta.concrete_model)
    base = PageVectorIndex if is_page_model(model) else VectorIndex
    attributes = {
        "name": model._meta.label,
        # The manager, not a queryset, since its queryset may depend on the time.
        "querysets": [model._default_manager],
        "__module__": model.__module__,
    }
    index: VectorIndex = type(f"{model.__name__}Index", (base,), attributes)()
    return index


def _declared() -> Iterator[VectorIndex]:
    for config in apps.get_app_configs():
        module = sys.modules.get(f"{config.name}.{MODULE}")
        values = vars(module).values() if module else ()
        for found in dict.fromkeys(value for value in values if _is_index_of(value, module)):
            yield found()


def _is_index_of(value: Any, module: Any) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, VectorIndex)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
        and (value.querysets != () or value.get_querysets not in _DEFAULTS)
    )


def _indexed_models() -> Iterator[type[Model]]:
    from ..models.mixin import ModelIndexDescriptor, VectorIndexedMixin

    for model in apps.get_models():
        if issubclass(model, VectorIndexedMixin) and not model._meta.proxy:
            descriptor = inspect.getattr_static(model, "vector_index")
            if isinstance(descriptor, ModelIndexDescriptor):
                yield model
