"""Finds the fields and relations by which a queryset chooses its objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Any

from django.db.models import ForeignObjectRel, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql import Query

from .independence import is_independent

__all__ = ["Choice", "choice_of"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What decides whether an object is in a queryset, as far as its conditions show."""

    #: Fields of the model, and paths over relations: ``("title", "owner__is_active")``. A path
    #: that ends with a relation stands for the objects in it, whatever their fields are.
    paths: tuple[str, ...]
    #: Whether only these decide. A function or a subquery may depend on more.
    is_complete: bool


def choice_of(queryset: QuerySet[Any]) -> Choice:
    """Return what decides whether an object is in a queryset.

    Conditions in subqueries count if the subquery chooses objects of the model itself, or begins
    with the table of one of its relations. `QuerySet.exclude` makes such subqueries.

    Example::

        choice_of(Page.objects.filter(owner__is_active=True, live=True)).paths
        # ("owner__is_active", "live")
    """
    query: Any = queryset.query
    model = queryset.model
    found: dict[str, None] = {}
    is_complete = is_independent(queryset)
    for leaf in query.where.leaves():
        is_complete = is_complete and isinstance(getattr(leaf, "lhs", None), Col)
        for part in _parts(leaf):
            if isinstance(part, Col):
                found.update(dict.fromkeys(_paths_to(model, query, part)))
            else:
                is_complete = False
                found.update(dict.fromkeys(_paths_into(model, part)))
    return Choice(paths=tuple(found), is_complete=is_complete)


def _parts(expression: Any) -> Iterator[Any]:
    """Yield the columns and the subqueries of an expression."""
    if isinstance(expression, Col | Query):
        yield expression
        return
    inner = [getattr(expression, "rhs", None)]  # a lookup does not list a queryset there
    if hasattr(expression, "get_source_expressions"):
        inner += [each for each in expression.get_source_expressions() if each is not inner[0]]
    for each in inner:
        if hasattr(each, "resolve_expression"):
            yield from _parts(each)


def _paths_to(model: type[Model], query: Any, column: Any) -> Iterator[str]:
    """Yield the paths from a model to a column of its query."""
    if column.alias in query.alias_map:  # raw SQL may bring others
        yield from _paths(model, _joins(query, column.alias), column.target)


def _paths_into(model: type[Model], query: Any) -> Iterator[str]:
    """Yield the paths from a model that a subquery may follow."""
    parts = [part for leaf in query.where.leaves() for part in _parts(leaf)]
    columns = [part for part in parts if isinstance(part, Col) and part.alias in query.alias_map]
    start = _table(query)
    if start == model._meta.db_table:  # it chooses objects of the same model
        for column in columns:
            yield from _paths_to(model, query, column)
        return
    for field, infos in _relations(model):
        for position, info in enumerate(infos):
            if info.to_opts.db_table != start:
                continue
            yield _name(field)
            rest = [each.join_field for each in infos[position + 1 :]]
            for column in columns:
                joins = _joins(query, column.alias)
                if joins[: len(rest)] == rest:
                    for path in _paths(infos[-1].to_opts.model, joins[len(rest) :], column.target):
                        yield f"{_name(field)}__{path}"


def _table(query: Any) -> str | None:
    """Return the table that a query begins with; `exclude` removes the tables before it."""
    used = (table for alias, table in query.alias_map.items() if query.alias_refcount[alias])
    first: Any = next(used, None)
    return query.model._meta.db_table if first is None else first.table_name  # type: ignore[no-any-return]


def _joins(query: Any, alias: str) -> list[Any]:
    """Return the fields of the joins that lead to a table of a query."""
    fields = []
    join = query.alias_map[alias]
    while join.parent_alias is not None:
        fields.append(join.join_field)
        join = query.alias_map[join.parent_alias]
    return fields[::-1]


def _paths(model: type[Model], joins: Sequence[Any], target: Any) -> Iterator[str]:
    """Yield the paths that joins stand for, from a model to a field."""
    if not joins:
        yield target.name
        return
    first = joins[0]
    if _is_inherited(first):
        yield from _paths(first.related_model, joins[1:], target)
        return
    length, longest = 0, None
    for field, infos in _relations(model):
        fields = [info.join_field for info in infos]
        pairs = zip(fields, joins, strict=False)
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        if same == len(joins) < len(fields):
            yield _name(field)  # the condition reads only the table between
        elif same == len(fields) > length:
            length, longest = same, field
    if longest is not None:
        for path in _paths(longest.related_model, joins[length:], target):
            yield f"{_name(longest)}__{path}"


def _relations(model: type[Model]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the relations of a model that queries can follow, with their joins."""
    for field in model._meta.get_fields():
        if isinstance(getattr(field, "related_model", None), type):
            infos = list(getattr(field, "path_infos", ()))
            own = list(dropwhile(lambda info: _is_inherited(info.join_field), infos))
            if own:
                yield field, own


def _is_inherited(join: Any) -> bool:
    """Return whether a join leads from a model to its parent, whose attributes are its own."""
    return bool(getattr(getattr(join, "remote_field", None), "parent_link", False))


def _name(field: Any) -> str:
    is_reverse = isinstance(field, ForeignObjectRel)
    return str(field.get_accessor_name() if is_reverse else field.name)
