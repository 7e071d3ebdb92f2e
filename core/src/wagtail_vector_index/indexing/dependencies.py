"""The relations through which objects of an index read other objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignObjectRel, Model

from ..content.declaration import IndexDeclaration
from ..content.object_keys import key_of, primary_keys, root_model


@dataclass(frozen=True)
class ReadingPath:
    """A relation that leads from objects of an index to objects that they read."""

    #: The model of the index.
    model: type[Model]
    #: The model whose objects are read.
    related: type[Model]
    #: The relation in the form of a query: ``author__publisher``.
    lookup: str
    #: The attribute that is read of the related objects; None if it is not known.
    attribute: str | None
    #: Whether the related object points to the object that reads it, as a comment to its page.
    reverse: bool
    #: The table between the two models; None without a table, or if the path is longer.
    through: type[Model] | None


def reading_paths(index: IndexDeclaration) -> Iterator[ReadingPath]:
    """Yield the relations through which an index's texts and filter values are read.

    Relations that methods and properties read are not known.
    """
    for model, configuration in index.configuration.models.items():
        for embedded in configuration.embedding_fields:
            yield from _along(model, embedded.name)
        for filtered, _ in configuration.filter_fields:
            for path in _along(model, filtered.source):
                # A foreign key is filtered by its primary key, which never changes.
                if path.attribute or path.through or path.reverse:
                    yield path


def readers(index: IndexDeclaration, key: str) -> Iterator[str]:
    """Yield the keys of the objects of an index that read the object with this key."""
    for path in reading_paths(index):
        for pk in primary_keys(path.related, [key]):
            everything = path.model._base_manager  # noqa: SLF001  # hides no objects
            found = everything.filter(**{f"{path.lookup}__pk": pk})
            for reader in found.order_by().values_list("pk", flat=True):
                yield key_of(path.model, reader)


def concrete_family(model: type[Model]) -> Iterator[type[Model]]:
    """Yield a model, its parents and its children, where concrete.

    One object can have rows in all of these models.
    """
    top = root_model(model)
    yield model
    if model is not top:
        yield top
        for parent in model._meta.all_parents:
            if parent is not top and not parent._meta.proxy:
                yield parent
    yield from _children(model)


def _children(model: type[Model]) -> Iterator[type[Model]]:
    for child in model.__subclasses__():
        if not child._meta.abstract:
            yield child
        yield from _children(child)


def _along(model: type[Model], path: str) -> Iterator[ReadingPath]:
    current: Any = model
    lookup: list[str] = []
    names = path.split("__")
    for position, name in enumerate(names):
        field = _relation(current, name)
        if field is None:
            return
        lookup.append(field.name)
        current = field.related_model
        reverse = isinstance(field, ForeignObjectRel)
        remote = field if reverse else field.remote_field
        yield ReadingPath(
            model=model,
            related=current,
            lookup="__".join(lookup),
            attribute=names[position + 1] if position + 1 < len(names) else None,
            reverse=reverse,
            through=getattr(remote, "through", None) if position == 0 else None,
        )


def _relation(model: type[Model], name: str) -> Any:
    """Return the relation with this name, or None if it does not lead to one model."""
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        by_accessor = {
            field.get_accessor_name(): field
            for field in model._meta.get_fields()
            if isinstance(field, ForeignObjectRel)
        }
        field = by_accessor.get(name)
    return field if isinstance(getattr(field, "related_model", None), type) else None
