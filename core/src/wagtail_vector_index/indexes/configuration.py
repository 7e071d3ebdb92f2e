"""What an index's models declare, resolved and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from ..exceptions import InvalidIndex
from ..fields import EmbeddingField, FilterField
from ..filters import FieldType
from ..filter_values import infer_type

if TYPE_CHECKING:
    from .base import VectorIndex

#: What core itself stores with every document: the source object's key and its model.
CORE_FIELDS: Mapping[str, FieldType] = {"object": "str", "model": "str"}


@dataclass(frozen=True, kw_only=True)
class ModelConfiguration:
    """What one model contributes: its texts and its filterable values."""

    embedding_fields: tuple[EmbeddingField, ...]
    filter_fields: tuple[tuple[FilterField, FieldType], ...]


@dataclass(frozen=True, kw_only=True)
class IndexConfiguration:
    """What all models of an index contribute.

    Args:
        models: by the models of the index's querysets.
        fields: the fields that searches can filter by, core's own among them.
    """

    models: Mapping[type[models.Model], ModelConfiguration]
    fields: Mapping[str, FieldType]

    def of(self, index: VectorIndex, model: type[models.Model]) -> ModelConfiguration:
        """The configuration of an object's model, which may be a child of a declared one."""
        found = self.models.get(model)
        return found if found is not None else _model_configuration(index, model)


def configuration_of(index: VectorIndex) -> IndexConfiguration:
    """The configuration of an index.

    Raises:
        InvalidIndex: naming the model and the field that does not fit.
    """
    resolved: dict[type[models.Model], ModelConfiguration] = {}
    fields = dict(CORE_FIELDS)
    for queryset in index.get_querysets():
        for model in _family(index, queryset.model):
            resolved[model] = _model_configuration(index, model)
            for field, type_ in resolved[model].filter_fields:
                if fields.setdefault(field.name, type_) != type_:
                    raise InvalidIndex(
                        f"{index.name}: the filter field {field.name!r} is of type {type_} on"
                        f" {model._meta.label} and {fields[field.name]} elsewhere. Give one of"
                        f" them another name: FilterField('…', source={field.source!r})."
                    )
    return IndexConfiguration(models=resolved, fields=fields)


def _family(index: VectorIndex, model: type[models.Model]) -> list[type[models.Model]]:
    """The model and, where it declares nothing to embed, the children that do."""
    if _declared(index, model, "embedding_fields"):
        return [model]
    children = [
        child
        for child in _concrete_children(model)
        if _declared(index, child, "embedding_fields")
    ]
    return children or [model]


def _concrete_children(model: type[models.Model]) -> list[type[models.Model]]:
    found = []
    for child in model.__subclasses__():
        if not child._meta.abstract and not child._meta.proxy:
            found.append(child)
        found.extend(_concrete_children(child))
    return found


def _declared(index: VectorIndex, model: type[models.Model], name: str) -> Sequence[Any]:
    on_index = "filter_fields" if name == "vector_filter_fields" else name
    return getattr(model, name, ()) or getattr(index, on_index)


def _model_configuration(index: VectorIndex, model: type[models.Model]) -> ModelConfiguration:
    embedding_fields = tuple(_declared(index, model, "embedding_fields"))
    if not embedding_fields:
        raise InvalidIndex(
            f"{index.name}: {model._meta.label} does not say what to embed. Add"
            f' embedding_fields = [EmbeddingField("…")] to the model or to the index.'
        )
    for field in embedding_fields:
        if not isinstance(field, EmbeddingField):
            raise InvalidIndex(
                f"{index.name}: embedding_fields of {model._meta.label} holds {field!r},"
                " which is not an EmbeddingField."
            )
        _check_path(index, model, field.name)
    return ModelConfiguration(
        embedding_fields=embedding_fields,
        filter_fields=tuple(_filter_fields(index, model)),
    )


def _filter_fields(
    index: VectorIndex, model: type[models.Model]
) -> list[tuple[FilterField, FieldType]]:
    found = []
    for declared in _declared(index, model, "vector_filter_fields"):
        try:
            field = FilterField.of(declared)
        except ValueError as error:
            raise InvalidIndex(f"{index.name}: {model._meta.label}: {error}") from error
        if field.name in CORE_FIELDS:
            raise InvalidIndex(
                f"{index.name}: {model._meta.label}: {field.name!r} is a filter field of every"
                f" index. Choose another name: FilterField('…', source={field.source!r})."
            )
        _check_path(index, model, field.source)
        type_ = field.type or infer_type(model, field.source)
        if type_ is None:
            raise InvalidIndex(
                f"{index.name}: the type of the filter field {field.name!r} of"
                f" {model._meta.label} is not known. Say it: FilterField({field.name!r}, type='str')."
            )
        found.append((field, type_))
    return found


def _check_path(index: VectorIndex, model: type[models.Model], path: str) -> None:
    name = path.partition("__")[0]
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        if not hasattr(model, name):
            raise InvalidIndex(
                f"{index.name}: {model._meta.label} has no field, attribute or method {name!r}."
            ) from None
