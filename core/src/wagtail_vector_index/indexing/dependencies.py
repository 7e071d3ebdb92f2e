"""The relations through which objects of an index read other objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import ForeignObjectRel, ManyToManyRel, Model, QuerySet

from ..content.declaration import IndexDeclaration
from ..content.filter_values import is_named
from ..content.object_keys import (
    given_key,
    inherits,
    key_of,
    primary_key,
    primary_keys,
    root_model,
    shares_objects,
)
from ..content.relations import is_generic, points_generically, relation
from ..contract.slices import slices

_SLICE = 500


@dataclass(frozen=True, kw_only=True)
class Step:
    """A relation from objects that read to objects that are read, and the way back.

    The way back is a query for each step. A single query for a path of several steps could not
    lead through generic relations or hidden tables.
    """

    source: type[Model]
    target: type[Model]
    #: The relation's name in queries of the source. Unused if the rows are looked up by columns.
    lookup: str = ""
    #: The fields by which rows of the target point to the source, as a comment to its page. A
    #: change of them is a move to another source.
    pointer: tuple[str, ...] = ()
    #: The fields by which rows of the source point to an object of any model.
    generic: tuple[str, ...] = ()
    #: The table of a many-to-many relation, and whether the target declares the relation.
    through: type[Model] | None = None
    reverse: bool = False
    symmetrical: bool = False

    def back(self, pks: Iterable[Any], using: str | None = None) -> list[Any]:
        """Return the primary keys of the sources that read the targets with these keys."""
        found = chain.from_iterable(self._back(some, using) for some in slices(list(pks), _SLICE))
        return list(dict.fromkeys(pk for pk in found if pk is not None))

    def _back(self, pks: list[Any], using: str | None) -> Iterable[Any]:
        if self.generic:
            return self._pointing_generically(pks, using)
        if self.lookup:
            chosen = everything(self.source, using).filter(**{f"{self.lookup}__pk__in": pks})
            return chosen.order_by().values_list("pk", flat=True)
        rows = everything(self.target, using).filter(pk__in=pks).order_by()
        if len(self.pointer) == 1:
            return rows.values_list(f"{self.pointer[0]}__pk", flat=True)
        return _pointed_to(self.source, rows.values_list(*self.pointer), using)

    def _pointing_generically(self, pks: list[Any], using: str | None) -> Iterable[Any]:
        content_type, object_id = self.generic
        chosen = everything(self.source, using).filter(
            **{content_type: _content_type(self.target, using), f"{object_id}__in": pks}
        )
        return chosen.order_by().values_list("pk", flat=True)

    def is_moved(self, instance: Model, using: str | None) -> bool:
        """Return whether a row of the target is about to point to another source than before."""
        names = [self.target._meta.get_field(name).attname for name in self.pointer]  # type: ignore[union-attr]
        if not names or not instance.get_deferred_fields().isdisjoint(names):
            return False
        pk = primary_key(instance, self.target)
        rows = everything(self.target, using).filter(pk=pk)
        before = rows.values_list(*names).first()
        return before not in (None, tuple(getattr(instance, name) for name in names))


@dataclass(frozen=True, kw_only=True)
class ReadingPath:
    """The relations that lead from objects of an index to objects that they read."""

    steps: tuple[Step, ...]
    #: The attributes that are read of the related objects; None if they are not known.
    attributes: frozenset[str] | None

    @property
    def model(self) -> type[Model]:
        """The model of the index."""
        return self.steps[0].source

    @property
    def last(self) -> Step:
        """The last step."""
        return self.steps[-1]

    @property
    def related(self) -> type[Model]:
        """The model whose objects are read."""
        return self.last.target

    def reading_also(self, attributes: frozenset[str] | None) -> ReadingPath:
        """Return the same path, with more attributes that are read; None if they are not known."""
        both = (self.attributes, attributes)
        known = [each for each in both if each is not None]
        return replace(self, attributes=frozenset().union(*known) if len(known) == 2 else None)

    def sources(self, pks: Iterable[Any]) -> list[str]:
        """Return the keys of objects that the last step begins at, from their primary keys."""
        return [given_key(self.last.source, pk) for pk in pks]

    def readers(self, pks: Iterable[Any], using: str | None = None) -> list[Any]:
        """Return the primary keys of the objects that read the related objects with these keys."""
        found = list(pks)
        for step in reversed(self.steps):
            found = step.back(found, using)
        return found


def reading_paths(index: IndexDeclaration) -> list[ReadingPath]:
    """Return the relations through which an index's content, texts and filter values are read.

    What methods, properties and most subqueries read is only known if their field, or the index,
    declares it as ``reads``.
    """
    found: dict[tuple[Step, ...], ReadingPath] = {}
    for path in _declared_paths(index):
        known = found.get(path.steps)
        found[path.steps] = path if known is None else known.reading_also(path.attributes)
    return list(found.values())


def _declared_paths(index: IndexDeclaration) -> Iterator[ReadingPath]:
    """Yield the paths of `reading_paths`, some of them several times."""
    for model, paths in index.configuration.chosen_by.items():
        for path in paths:
            yield from _along(model, path, keys_only=True)
    for model, paths in index.configuration.reads.items():
        for path in paths:
            yield from _along(model, path)
    for model, configuration in index.configuration.models.items():
        filtered = [field for field, _ in configuration.filter_fields]
        for embedded in configuration.embedding_fields:
            yield from _along(model, embedded.name)
        for field in filtered:
            yield from _along(model, field.source, keys_only=True)
        for path in configuration.reads:
            yield from _along(model, path)
        yield from _of_parents(model)


def _of_parents(model: type[Model]) -> Iterator[ReadingPath]:
    """Yield the relations to parents with other primary keys, which may be saved without it."""
    for parent in model._meta.get_parent_list():
        if root_model(parent) is not root_model(model):
            links = model._meta.get_path_to_parent(parent)
            lookup = "__".join(link.join_field.name for link in links)
            step = Step(source=model, target=parent, lookup=lookup)
            yield ReadingPath(steps=(step,), attributes=None)


def readers(index: IndexDeclaration, key: str) -> Iterator[str]:
    """Yield the keys of the objects of an index that read the object with this key."""
    for path in reading_paths(index):
        if pks := primary_keys(path.related, [key]):
            for reader in path.readers(pks, index.configuration.databases.get(path.model)):
                yield key_of(path.model, reader)


def model_family(model: type[Model]) -> Iterator[type[Model]]:
    """Yield a model, its parents and its children, and all their proxies.

    One object can be an object of all of these models. It is saved and deleted as an object of
    any of them, and the sender of the signal is that model.
    """
    yield model
    for other in apps.get_models(include_auto_created=True):
        if other is not model and shares_objects(other, model):
            yield other


def _along(
    model: type[Model], path: str, *, keys_only: bool = False, before: tuple[Step, ...] = ()
) -> Iterator[ReadingPath]:
    """Yield the relations on a path, each with the ones before it.

    Args:
        model: the model that the path begins at.
        path: the names of attributes.
        keys_only: only the primary key is read of an object at the end of the path, unless its
            name is its identity. A primary key never changes.
        before: the steps that lead to the model.
    """
    name, _, rest = path.partition("__")
    field = relation(model, name)
    if field is None:
        return
    rows = _rows_between(model, field)
    if rows is not None:
        yield ReadingPath(steps=(*before, rows), attributes=None)
    for way in _ways(model, field, rows):
        steps = (*before, *way)
        attributes = _attributes(steps[-1], rest, keys_only=keys_only)
        yield ReadingPath(steps=steps, attributes=attributes)
        if rest:
            yield from _along(steps[-1].target, rest, keys_only=keys_only, before=steps)


def _attributes(step: Step, rest: str, *, keys_only: bool) -> frozenset[str] | None:
    if rest:
        ordering = step.target._meta.ordering or ()
        names = [name.lstrip("-") for name in ordering if isinstance(name, str)]
        return frozenset([rest.partition("__")[0], *(name.partition("__")[0] for name in names)])
    return frozenset() if keys_only and not is_named(step.target) else None


def _ways(model: type[Model], field: Any, rows: Step | None) -> Iterator[tuple[Step, ...]]:
    """Yield the steps of a relation, once for each model that it is known to lead to."""
    if rows is not None and len(rows.pointer) > 1:
        # taggit's own lookups of generic rows warn on recent versions of Django.
        to_target = field.m2m_reverse_field_name()
        yield rows, Step(source=rows.target, target=field.related_model, lookup=to_target)
        return
    for step in _steps(model, field):
        yield (step,)


def _steps(model: type[Model], field: Any) -> Iterator[Step]:
    target = field.related_model
    if is_generic(field):
        for related in _models_that_know(model, field):
            yield Step(source=model, target=related, generic=(field.ct_field, field.fk_field))
    elif not isinstance(target, type):
        return
    elif points_generically(field):
        columns = field.content_type_field_name, field.object_id_field_name
        yield Step(source=model, target=target, pointer=columns)
    elif through := _through(field):
        yield Step(
            source=model,
            target=target,
            lookup=field.name,
            through=through,
            reverse=isinstance(field, ManyToManyRel),
            symmetrical=_is_symmetrical(field),
        )
    else:
        pointer = (field.field.name,) if isinstance(field, ForeignObjectRel) else ()
        yield Step(source=model, target=target, lookup=field.name, pointer=pointer)


def _is_symmetrical(field: Any) -> bool:
    # taggit's relations say that they are symmetrical as well.
    to_itself = root_model(field.model) is root_model(field.related_model)
    return to_itself and bool(getattr(field.remote_field, "symmetrical", False))


def _rows_between(model: type[Model], field: Any) -> Step | None:
    """Return the step to the rows of a table that the site declared for a many-to-many relation."""
    through = _through(field)
    if through is None or through._meta.auto_created:
        return None
    if isinstance(field, ManyToManyRel):
        name = field.field.m2m_reverse_field_name()
    elif hasattr(field, "m2m_field_name"):
        name = field.m2m_field_name()
    else:
        name = "content_object"  # taggit's name
    pointer = next(f for f in through._meta.get_fields() if f.name == name)
    names = (pointer.ct_field, pointer.fk_field) if is_generic(pointer) else (name,)
    return Step(source=model, target=through, pointer=names)


def _through(field: Any) -> Any:
    if not field.many_to_many:
        return None
    return (field if isinstance(field, ManyToManyRel) else field.remote_field).through


def _models_that_know(model: type[Model], field: Any) -> Iterator[type[Model]]:
    """Yield the models that declare the other direction of a generic foreign key."""
    names = field.ct_field, field.fk_field
    for other in apps.get_models():
        for private in other._meta.private_fields:
            if (
                points_generically(private)
                and inherits(model, private.related_model)
                and (private.content_type_field_name, private.object_id_field_name) == names
            ):
                yield other


def everything(model: type[Model], using: str | None = None) -> QuerySet[Any]:
    """Return all objects of a model, as they are now.

    Args:
        model: the model.
        using: the database; by default the one to which objects of the model are saved, since a
            replica may lag behind.
    """
    using = using or router.db_for_write(model)
    found: QuerySet[Any] = model._base_manager.using(using)  # noqa: SLF001  # hides no objects
    return found


def _content_type(model: type[Model], using: str | None) -> Any:
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.db_manager(using).get_for_model(model)


def _pointed_to(
    source: type[Model], rows: Iterable[tuple[Any, Any]], using: str | None
) -> Iterator[Any]:
    """Yield the primary keys of objects of a model's family, from content types and keys.

    An object with rows in several models may be pointed to as an object of any of them.
    """
    for content_type, pk in rows:
        model = None if pk is None else _model_of(content_type, using)
        if model is not None and root_model(model) is root_model(source):
            yield from primary_keys(source, [key_of(source, pk)])


def _model_of(content_type: Any, using: str | None) -> type[Model] | None:
    """Return the model of a content type; None if there is no such type, or no model of it."""
    from django.contrib.contenttypes.models import ContentType

    try:
        return ContentType.objects.db_manager(using).get_for_id(content_type).model_class()
    except ContentType.DoesNotExist:
        return None
