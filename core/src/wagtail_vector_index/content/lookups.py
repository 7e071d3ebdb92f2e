"""The lookup ``in`` of the index tables, and lookups of a site's own objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.lookups import In

__all__ = ["InOneParameter", "among", "fetched", "plain_type"]

#: The type of the values that a field hands to the database as they are.
_PLAIN: dict[str, type] = {
    "BigAutoField": int,
    "BinaryField": bytes,
    "CharField": str,
    "PositiveBigIntegerField": int,
    "PositiveIntegerField": int,
    "TextField": str,
}

#: The fields of primary keys whose values are integers for Python and for every database. A site's
#: own field may derive from one of them and convert its values.
_INTEGERS = (
    models.AutoField,
    models.BigAutoField,
    models.SmallAutoField,
    models.BigIntegerField,
    models.IntegerField,
    models.PositiveBigIntegerField,
    models.PositiveIntegerField,
)

#: The largest integer of all databases.
_LARGEST = 2**63 - 1

#: With fewer primary keys, SQLite without statistics may choose a worse plan for a site's query.
_FEWEST_OF_A_SITE = 32

#: With fewer values, a database plans better if it knows how many there are.
_FEWEST = 3

#: How many times a fetch is tried while pages are deleted between its queries.
_FETCH_ATTEMPTS = 10

_IN_JSON = "IN (SELECT value FROM json_each(%s))"
#: A text with this escape in JSON ends there for some releases of SQLite.
_NULL = "\\u0000"


def plain_type(field: models.Field[Any, Any]) -> type | None:
    """Return the type whose values a field hands to the database as they are, or None."""
    return _PLAIN.get(field.get_internal_type())


def among(queryset: models.QuerySet[Any], pks: Sequence[Any]) -> models.QuerySet[Any]:
    """Return the objects of a site's queryset that have one of these primary keys.

    Many integers become one parameter, and all others are left to Django.
    """
    field: Any = queryset.model._meta.pk
    while field.remote_field is not None:  # a page has the key of its parent
        field = field.target_field
    if (
        len(pks) >= _FEWEST_OF_A_SITE
        and type(field) in _INTEGERS
        and all(type(pk) is int and abs(pk) <= _LARGEST for pk in pks)
    ):
        return queryset.filter(_Integers(F("pk"), pks))
    return queryset.filter(pk__in=pks)


def fetched(queryset: models.QuerySet[Any]) -> list[Any]:
    """Return all objects of a queryset, even if some are deleted meanwhile.

    Wagtail runs a second query for the specific classes of pages. It raises KeyError if a page
    was deleted between the two queries.
    """
    for _attempt in range(_FETCH_ATTEMPTS - 1):
        with suppress(KeyError):
            return list(queryset.all())
    return list(queryset.all())


class InOneParameter(In):
    """The lookup ``in``, with all values in one parameter.

    Django prepares each value in several steps, and gives each a parameter of its own. For the
    lists of a thousand ids and keys that an update makes, that takes a tenth of its time.
    """

    def get_prep_lookup(self) -> Any:
        """Return the values as the field wants them, or the subquery."""
        plain = plain_type(self.lhs.output_field)
        if (
            plain
            and isinstance(self.rhs, list | tuple | set | frozenset)
            and all(type(value) is plain for value in self.rhs)
        ):
            return list(self.rhs)
        return super().get_prep_lookup()

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Compare with an array."""
        if len(values := self._values(connection)) < _FEWEST:
            return self.as_sql(compiler, connection)
        sql, parameters = self.process_lhs(compiler, connection)
        return f"{sql} = ANY(%s)", [*parameters, values]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Compare with a list of JSON."""
        values = self._values(connection)
        if len(values) < _FEWEST or _NULL in (listed := json.dumps(values)):
            return self.as_sql(compiler, connection)
        sql, parameters = self.process_lhs(compiler, connection)
        return f"{sql} {_IN_JSON}", [*parameters, listed]

    def _values(self, connection: Any) -> list[Any]:
        """Return the values that the database gets; none for a subquery or expressions."""
        if not isinstance(self.rhs, list):
            return []
        field = self.lhs.output_field
        if plain_type(field):
            return [value for value in self.rhs if value is not None]
        return [
            field.get_db_prep_value(value, connection, prepared=True)
            for value in self.rhs
            if value is not None
        ]


class _Integers(InOneParameter):
    """A comparison of a primary key, whatever its field, with a list of integers."""

    def get_prep_lookup(self) -> Any:
        """Return the integers as they are. The primary key is not resolved yet."""
        return self.rhs

    def _values(self, connection: Any) -> list[Any]:
        return list(self.rhs)
