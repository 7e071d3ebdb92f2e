"""The values that searches filter by: their types, and the form in which they are stored."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import models
from django.db.models import Q
from django.utils import timezone

from ..contract.filters import FieldType
from ..exceptions import InvalidFilter
from .relations import prefetched

_TYPES: tuple[tuple[type[models.Field[Any, Any]], FieldType], ...] = (
    (models.BooleanField, "bool"),
    (models.IntegerField, "int"),
    (models.AutoField, "int"),
    (models.FloatField, "float"),
    (models.DecimalField, "float"),
    (models.DateField, "datetime"),
    (models.CharField, "str"),
    (models.TextField, "str"),
    (models.UUIDField, "str"),
    (models.GenericIPAddressField, "str"),
)

_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
}


def infer_type(model: type[models.Model], path: str) -> FieldType | None:
    """Return the type of the values at a path, or None if the models' fields do not show it."""
    name, _, rest = path.partition("__")
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    if not field.is_relation:
        return None if rest else _scalar_type(field)
    if name == getattr(field, "attname", None) != field.name:  # the column of a foreign key
        return None if rest else _scalar_type(_column_of(field))
    target = field.related_model
    if not isinstance(target, type):  # a generic foreign key leads to objects of any model
        return None
    inner = infer_type(target, rest) if rest else _related_type(target)
    if inner is None or not (field.many_to_many or field.one_to_many):
        return inner
    return "list[int]" if inner == "int" else "list[str]"


def _related_type(model: Any) -> FieldType | None:
    if is_named(model):
        return "str"
    return "int" if _scalar_type(_column_of(model._meta.pk)) == "int" else "str"


def _column_of(field: Any) -> Any:
    """Return the field whose values a foreign key has; another field itself."""
    while field.is_relation:
        field = field.target_field
    return field


def _scalar_type(field: Any) -> FieldType | None:
    return next((type_ for kind, type_ in _TYPES if isinstance(field, kind)), None)


def filter_value(instance: models.Model, path: str, type_: FieldType) -> Any:
    """Return the value at a path of an object, in a form that JSON can hold."""
    value = _follow(instance, path.split("__"))
    if type_.startswith("list["):
        if value is None:
            return []
        items = value if isinstance(value, (list, tuple)) else [value]
        return [_stored(item, type_[5:-1]) for item in items if item is not None]
    if isinstance(value, (list, tuple)):
        raise ValueError(  # noqa: TRY004  # the same as for other values that do not fit
            f"{path!r} has several values, but {type_} is the type of a single value."
        )
    return None if value is None else _stored(value, type_)


def comparable(value: Any) -> Any:
    """Return a filter's value in the form in which the field's values are stored.

    Objects become their key, dates midnight in the site's time zone, decimals floats. If
    ``USE_TZ`` is off, naive datetimes are in the site's time zone. If it is on, they stay naive,
    and filters refuse them.
    """
    if isinstance(value, (str, int, float)):
        return value  # most values, which all the checks below would take much longer for
    if isinstance(value, models.Model):
        return _identity(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dt.date) and not (settings.USE_TZ and isinstance(value, dt.datetime)):
        return _aware(value)
    if isinstance(value, (list, tuple, set, frozenset, Iterator, models.QuerySet)):
        # Iterators become lists too, because a filter may be read more than once.
        return [comparable(item) for item in value]
    return value


def comparable_filter(query: Any) -> Any:
    """Return a filter with all its values made `comparable`. Only a ``Q`` is changed.

    Raises:
        InvalidFilter: the filter is nested too deeply.
    """
    try:
        return _comparable_node(query)
    except RecursionError:
        raise InvalidFilter("The filter is nested too deeply.") from None


def _comparable_node(query: Any) -> Any:
    if not isinstance(query, Q):
        return query
    result = Q(_connector=query.connector, _negated=query.negated)
    result.children = [_comparable_child(child) for child in query.children]
    return result


def _comparable_child(child: Any) -> Any:
    if isinstance(child, tuple) and len(child) == 2:
        return child[0], comparable(child[1])
    return _comparable_node(child)


def _follow(value: Any, names: list[str]) -> Any:
    """Return the value at the end of a path: one value, a list of values, or None."""
    if isinstance(value, models.Manager):
        value = _in_order(value.model, value.all())
    if callable(value) and not isinstance(value, type):
        value = value()
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)  # each process has an order of its own
    if isinstance(value, models.QuerySet):
        items = list(value)
        is_sortable = not value.ordered and all(isinstance(item, models.Model) for item in items)
        value = _in_order(value.model, items) if is_sortable else items
    if not names or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return _flat(_follow(item, names) for item in value)
    if (fetched := prefetched(value, names[0])) is not None:
        return _follow(_in_order(fetched.model, fetched), names[1:])
    try:
        return _follow(getattr(value, names[0]), names[1:])
    except ObjectDoesNotExist:
        return None


def _in_order(model: Any, related: Iterable[Any]) -> list[Any]:
    """Return related objects in an order that never changes. Another order is another value."""
    items = list(related)
    if len(items) < 2 or model._meta.ordering:
        return items
    return sorted(items, key=attrgetter("pk"))


def _flat(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.extend(value) if isinstance(value, list) else found.append(value)
    return found


def _stored(value: Any, type_: str) -> Any:
    value = comparable(value)
    if type_ == "datetime":
        return _aware(value).isoformat()
    return _CONVERTERS[type_](value)


def _aware(value: dt.date) -> dt.datetime:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
    if timezone.is_aware(moment):
        return moment
    # Django does the same. The active zone depends on the visitor, and differs between requests.
    return timezone.make_aware(moment, timezone.get_default_timezone())


@lru_cache(maxsize=1024)
def is_named(model: type[Any]) -> bool:
    """Return whether the name of an object, such as a locale or tag, is its identity."""
    bases = {f"{base.__module__}.{base.__name__}" for base in model.__mro__}
    return _is_locale(model) or "taggit.models.TagBase" in bases


def _is_locale(model: type[Any]) -> bool:
    # A proxy of the model has the same identity. A site's own model may have any of its fields.
    return bool(model._meta.concrete_model._meta.label == "wagtailcore.Locale")


def _identity(instance: Any) -> Any:
    model = instance.__class__  # not type(): ``request.user`` is a lazy proxy
    if is_named(model):
        return instance.language_code if _is_locale(model) else instance.name
    pk = instance.pk
    return pk if isinstance(pk, int) else str(pk)
