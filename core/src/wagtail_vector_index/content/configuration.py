"""Checks the declarations of an index and its models, and resolves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignObjectRel, Manager, Model, QuerySet

from ..contract.filters import FieldType
from ..exceptions import InvalidIndex, InvalidSpec
from ..wording import did_you_mean, shown
from .choosing import choice_of
from .fields import EmbeddingField, FilterField
from .filter_values import infer_type
from .relations import relation
from .text.splitting import TextSplitter

#: The fields that core itself stores with every document: the source object's key and model.
CORE_FIELDS: Mapping[str, FieldType] = {"object": "str", "model": "str"}


#: The types of attributes of an index that nothing else refuses.
_TYPES: Mapping[str, tuple[Any, str]] = {
    "metric": (str, "the name of a metric"),
    "include_private": (bool, "True or False"),
    "keep_embeddings": (bool, "True or False"),
}


#: As many characters as the columns of the index tables take.
_LONGEST_NAME = 120


class Declaration(Protocol):
    """The attributes of an index that its configuration is built from."""

    name: str
    querysets: ClassVar[Any]
    embedding_fields: ClassVar[Any]
    filter_fields: ClassVar[Any]
    chunk_tokens: ClassVar[int]
    chunk_overlap: ClassVar[int]
    text_splitter: ClassVar[Any]
    reads: ClassVar[Any]

    def get_querysets(self) -> list[QuerySet[Any]]:
        """Return the content of the index."""


@dataclass(frozen=True, kw_only=True)
class ModelConfiguration:
    """The fields of one model: the ones to embed, and the ones to filter by."""

    embedding_fields: tuple[EmbeddingField, ...]
    filter_fields: tuple[tuple[FilterField, FieldType], ...]

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths of all values that are read of an object of the model, each once."""
        found = [field.name for field in self.embedding_fields]
        found += [field.source for field, _ in self.filter_fields]
        return tuple(dict.fromkeys([*found, *self.reads]))

    @property
    def reads(self) -> tuple[str, ...]:
        """The paths that the fields say their methods and properties read."""
        found = [path for field in self.embedding_fields for path in field.reads]
        return (*found, *(path for field, _ in self.filter_fields for path in field.reads))


@dataclass(frozen=True, kw_only=True)
class IndexConfiguration:
    """The fields of all models of an index.

    Args:
        models: the configuration of each model of the index's querysets.
        fields: the fields that searches can filter by, including core's own fields.
        chosen_by: for the model of each queryset, the paths of the fields that its conditions read.
        reads: for these models, the relations that the index declares as ``reads``.
        databases: for the models whose queryset names its database by ``using()``, the database.
    """

    models: Mapping[type[Model], ModelConfiguration]
    fields: Mapping[str, FieldType]
    chosen_by: Mapping[type[Model], tuple[str, ...]]
    reads: Mapping[type[Model], tuple[str, ...]]
    databases: Mapping[type[Model], str]

    def of(self, index: Declaration, model: type[Model]) -> ModelConfiguration:
        """Return the configuration of a model, which may be a child of a declared model."""
        found = self.models.get(model)
        return found if found is not None else _model_configuration(index, model)


def configuration_of(index: Declaration) -> IndexConfiguration:
    """Return the configuration of an index.

    Raises:
        InvalidIndex: a declaration is wrong. The message has the model and its field.
    """
    _check_attributes(index)
    _check_querysets(index)
    _check_chunking(index)
    _check_splitter(index)
    resolved: dict[type[Model], ModelConfiguration] = {}
    fields = dict(CORE_FIELDS)
    chosen_by: dict[type[Model], tuple[str, ...]] = {}
    databases: dict[type[Model], str] = {}
    for queryset in index.get_querysets():
        _check_refinable(index, queryset)
        named: str | None = vars(queryset)["_db"]  # the property .db would ask the routers
        chosen_by[queryset.model] = (
            *chosen_by.get(queryset.model, ()),
            *choice_of(queryset).paths,
        )
        for model in _family(index, queryset.model):
            resolved[model] = _model_configuration(index, model)
            databases |= {model: named} if named else {}
            for field, type_ in resolved[model].filter_fields:
                if fields.setdefault(field.name, type_) != type_:
                    raise InvalidIndex(
                        f"{index.name}: the filter field {field.name!r} is of type {type_} on"
                        f" {model._meta.label} and {fields[field.name]} elsewhere. Give one of"
                        f" them another name: FilterField('…', source={field.source!r})."
                    )
    return IndexConfiguration(
        models=resolved,
        fields=fields,
        chosen_by=chosen_by,
        reads=_reads(index, list(chosen_by)),
        databases=databases,
    )


def _check_attributes(index: Declaration) -> None:
    """Raise for attributes of a wrong type. The text "False", for example, would be true."""
    if len(index.name) > _LONGEST_NAME:
        raise InvalidIndex(
            f"{index.name[:50]}…: name must have at most {_LONGEST_NAME} characters, not"
            f" {len(index.name)}."
        )
    for name, (types, what) in _TYPES.items():
        value = getattr(index, name)
        if not isinstance(value, types):
            raise InvalidIndex(f"{index.name}: {name} must be {what}, not {shown(value)}.")


def _check_querysets(index: Declaration) -> None:
    content: Any = index.querysets
    listed = isinstance(content, (list, tuple))
    if not listed or not all(isinstance(q, (QuerySet, Manager)) for q in content):
        raise InvalidIndex(
            f"{index.name}: querysets must be a list of querysets, such as [Page.objects.all()]."
        )
    if not content and content != ():  # base classes, which are not searched, have ()
        raise InvalidIndex(
            f"{index.name}: querysets is empty, so no search would find anything. List the content"
            " to index, such as [Page.objects.all()]."
        )


def _check_refinable(index: Declaration, queryset: QuerySet[Any]) -> None:
    """Raise unless a queryset can be filtered further, and its results are objects."""
    kinds = {
        "sliced": queryset.query.is_sliced,
        "combined": queryset.query.combinator,
        "made of values": getattr(queryset, "_fields", None) is not None,
    }
    for kind, is_so in kinds.items():
        if is_so:
            raise InvalidIndex(
                f"{index.name}: a queryset of {queryset.model._meta.label} is {kind}, so it"
                " cannot be filtered for live objects. Select the content with filter() instead."
            )


def _check_chunking(index: Declaration) -> None:
    for name, lowest in (("chunk_tokens", 1), ("chunk_overlap", 0)):
        value = getattr(index, name)
        if type(value) is not int or value < lowest:
            raise InvalidIndex(
                f"{index.name}: {name} must be an int of at least {lowest}, not {shown(value)}."
            )
    if index.chunk_overlap >= index.chunk_tokens:
        raise InvalidIndex(
            f"{index.name}: chunk_overlap must be below chunk_tokens, which is"
            f" {index.chunk_tokens}, not {index.chunk_overlap}."
        )


def _check_splitter(index: Declaration) -> None:
    splitter = index.text_splitter
    if not isinstance(splitter, type) or not issubclass(splitter, TextSplitter):
        raise InvalidIndex(
            f"{index.name}: text_splitter must be a subclass of"
            f" wagtail_vector_index.indexes.TextSplitter, not {shown(splitter)}."
        )


def _family(index: Declaration, model: type[Model]) -> list[type[Model]]:
    """Return the model, or the child models with fields to embed if it has none itself."""
    if _declared(index, model, "embedding_fields"):
        return [model]
    children = [
        child for child in _concrete_children(model) if _declared(index, child, "embedding_fields")
    ]
    return children or [model]


def _concrete_children(model: type[Model]) -> list[type[Model]]:
    found = []
    for child in model.__subclasses__():
        if not child._meta.abstract and not child._meta.proxy:
            found.append(child)
        found.extend(_concrete_children(child))
    return found


def _declared(index: Declaration, model: type[Model], name: str) -> Sequence[Any]:
    on_index = "filter_fields" if name == "vector_filter_fields" else name
    declared = getattr(model, name, ()) or getattr(index, on_index)
    if not isinstance(declared, (list, tuple)):
        owner = f"{name} of {model._meta.label}" if getattr(model, name, ()) else on_index
        raise InvalidIndex(f"{index.name}: {owner} must be a list, not {declared!r}.")
    return declared


def _model_configuration(index: Declaration, model: type[Model]) -> ModelConfiguration:
    embedding_fields = tuple(_declared(index, model, "embedding_fields"))
    if not embedding_fields:
        raise InvalidIndex(
            f"{index.name}: {model._meta.label} has no fields to embed. Add"
            f' embedding_fields = [EmbeddingField("…")] to the model or to the index.'
        )
    for field in embedding_fields:
        if not isinstance(field, EmbeddingField):
            raise InvalidIndex(
                f"{index.name}: embedding_fields of {model._meta.label} holds {field!r},"
                " which is not an EmbeddingField: write EmbeddingField('…')."
            )
        _check_path(index, model, field.name)
        _check_reads(index, model, field)
    return ModelConfiguration(
        embedding_fields=embedding_fields,
        filter_fields=tuple(_filter_fields(index, model)),
    )


def _filter_fields(index: Declaration, model: type[Model]) -> list[tuple[FilterField, FieldType]]:
    found = []
    for declared in _declared(index, model, "vector_filter_fields"):
        field = FilterField.of(declared)
        try:
            field.check()
        except InvalidSpec as error:
            raise InvalidIndex(
                f"{index.name}: {model._meta.label}: {error}{_hint_of_path(field)}"
            ) from error
        if field.name in CORE_FIELDS:
            raise InvalidIndex(
                f"{index.name}: {model._meta.label}: every index has its own filter field"
                f" {field.name!r}. Choose another name: FilterField('…', source={field.source!r})."
            )
        _check_path(index, model, field.source)
        _check_reads(index, model, field)
        type_ = field.type or infer_type(model, field.source)
        if type_ is None:
            raise InvalidIndex(
                f"{index.name}: the type of the filter field {field.name!r} of"
                f" {model._meta.label} is not known."
                f" Add it: FilterField({field.name!r}, type='str')."
            )
        found.append((field, type_))
    return found


def _hint_of_path(field: FilterField) -> str:
    """Return what to do about a path in place of a name, or an empty text."""
    if "__" not in str(field.name) or field.name != field.source:
        return ""
    name = field.name.replace("__", "_").strip("_").lower()
    return f" Pass the path as source: FilterField({name!r}, source={field.source!r})."


def _check_path(index: Declaration, model: type[Model], path: str) -> None:
    """Raise if a path leads nowhere, as far as the fields of the models show."""
    name, _, rest = path.partition("__")
    field = relation(model, name)
    if field is None and not hasattr(model, name) and not _is_column(model, name):
        raise InvalidIndex(
            f"{index.name}: {model._meta.label} has no field, attribute or method"
            f" {name!r}.{_similar_names(model, name)}"
        )
    target = getattr(field, "related_model", None)
    if rest and isinstance(target, type):
        _check_path(index, target, rest)


def _reads(
    index: Declaration, models: Sequence[type[Model]]
) -> Mapping[type[Model], tuple[str, ...]]:
    """Return the index's own ``reads`` for each model: those that begin with its relations."""
    where = f"{index.name}: reads"
    _check_list_of_paths(where, index.reads)
    found: dict[type[Model], tuple[str, ...]] = {}
    for path in index.reads:
        name = path.partition("__")[0]
        for model in [m for m in models if relation(m, name) is not None] or models:
            _check_read_path(where, index, model, path)
            found[model] = (*found.get(model, ()), path)
    return found


def _check_reads(
    index: Declaration, model: type[Model], field: EmbeddingField | FilterField
) -> None:
    """Raise unless the paths of ``reads`` lead through relations to other objects."""
    where = f"{index.name}: reads of the field {field.name!r} of {model._meta.label}"
    _check_list_of_paths(where, field.reads)
    for path in field.reads:
        _check_read_path(where, index, model, path)


def _check_list_of_paths(where: str, reads: Any) -> None:
    if not isinstance(reads, (list, tuple)) or not all(isinstance(p, str) for p in reads):
        raise InvalidIndex(
            f"{where} must be a list of paths such as 'author__publisher', not {shown(reads)}."
        )


def _check_read_path(where: str, index: Declaration, model: type[Model], path: str) -> None:
    _check_path(index, model, path)
    name = path.partition("__")[0]
    if relation(model, name) is None:
        raise InvalidIndex(
            f"{where} holds {path!r}, but {name!r} is no relation to other objects. List"
            f" relations, such as foreign keys.{_similar_names(model, name)}"
        )


def _similar_names(model: type[Model], name: str) -> str:
    fields = model._meta.get_fields()
    accessors = [
        f.get_accessor_name() if isinstance(f, ForeignObjectRel) else f.name for f in fields
    ]
    return did_you_mean(name, [name for name in accessors if name])


def _is_column(model: type[Model], name: str) -> bool:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return not isinstance(field, ForeignObjectRel)
