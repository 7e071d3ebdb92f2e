"""The lookup ``in`` of the index tables."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models.lookups import In

__all__ = ["InOneParameter", "plain_type"]

#: The type of the values that a field hands to the database as they are.
_PLAIN: dict[str, type] = {
    "BigAutoField": int,
    "CharField": str,
    "PositiveBigIntegerField": int,
    "PositiveIntegerField": int,
    "TextField": str,
}

#: With fewer values, a database plans better if it knows how many there are.
_FEWEST = 3

_IN_JSON = "IN (SELECT value FROM json_each(%s))"
#: A text with this escape in JSON ends there for some releases of SQLite.
_NULL = "\\u0000"


def plain_type(field: models.Field[Any, Any]) -> type | None:
    """Return the type whose values a field hands to the database as they are, or None."""
    return _PLAIN.get(field.get_internal_type())


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
