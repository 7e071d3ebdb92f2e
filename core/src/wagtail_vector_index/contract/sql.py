"""Filters as conditions of SQL, for backends that store each field in a column.

A column holds NULL where a record has no value. All values are parameters. The names of columns
need no escaping, because `CollectionSpec` has checked the names of fields.

Example::

    def compare(column, node):
        if node.lookup == "in":
            return f"{column} = ANY(%s)", [[*node.value]]
        if node.lookup == "contains":
            return f"%s = ANY({column})", [node.value]
        return f"{column} {OPERATORS[node.lookup]} %s", [node.value]

    condition, parameters = where(filter, compare)
    cursor.execute(f"SELECT count(*) FROM blog WHERE {condition}", parameters)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from .filters import And, Comparison, FilterNode, IsNull, Lookup, Not, Or

__all__ = ["OPERATORS", "Compare", "column_of", "where"]

#: Returns a comparison of a column in the dialect of a database, and its parameters in order.
Compare: TypeAlias = Callable[[str, Comparison], tuple[str, list[Any]]]

#: The operators of the lookups that every database compares alike.
OPERATORS: Mapping[Lookup, str] = MappingProxyType(
    {"exact": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
)

#: The most conditions of a chain. Longer ones become a balanced tree.
_CHAINED = 16


def column_of(field: str) -> str:
    """Return the quoted name of a field's column. Its prefix avoids the table's other columns."""
    return f'"f_{field}"'


def where(filter: FilterNode | None, compare: Compare) -> tuple[str, list[Any]]:
    """Return a condition that is true for the records that match, and its parameters in order.

    A comparison with NULL is neither true nor false, so only NOT needs care: the negation must
    match.

    Args:
        filter: the filter, or None if every record matches.
        compare: returns the SQL of a comparison, which must not be true for NULL, and its
            parameters. It gets the quoted name of the column, and the comparison. The lookup ``in``
            may have no values, or thousands.
    """
    parameters: list[Any] = []
    return ("TRUE" if filter is None else _condition(filter, compare, parameters)), parameters


def _condition(node: FilterNode, compare: Compare, parameters: list[Any]) -> str:
    if isinstance(node, Comparison):
        sql, values = compare(column_of(node.field), node)
        parameters += values
        return sql
    if isinstance(node, IsNull):
        return f"{column_of(node.field)} IS NULL"
    if isinstance(node, Not):
        if isinstance(node.child, IsNull):
            return f"{column_of(node.child.field)} IS NOT NULL"
        return f"({_condition(node.child, compare, parameters)}) IS NOT TRUE"
    # The deepest first: a parser then holds one open parenthesis for each level, and nothing else.
    # Older releases of SQLite hold no more than a hundred things.
    ordered = sorted(node.children, key=_depth, reverse=True)
    children = [_child(child, compare, parameters) for child in ordered]
    if isinstance(node, And):
        return _balanced(children, " AND ") or "TRUE"
    return _balanced(children, " OR ") or "FALSE"


def _child(node: FilterNode, compare: Compare, parameters: list[Any]) -> str:
    """Return the condition of a child of AND or OR, in parentheses where it needs them."""
    condition = _condition(node, compare, parameters)
    # The negations and tests that this module writes bind more strongly than AND and OR.
    return condition if isinstance(node, (Not, IsNull)) else f"({condition})"


def _depth(node: FilterNode) -> int:
    """Return how many levels of AND and OR there are in a filter."""
    if isinstance(node, Not):
        return _depth(node.child)
    children = node.children if isinstance(node, (And, Or)) else ()
    return 1 + max(map(_depth, children), default=0) if children else 0


def _balanced(conditions: Sequence[str], operator: str) -> str:
    """Return one condition of many: a balanced tree, because parsers limit the depth.

    To SQLite, a chain of a thousand conditions is a thousand levels deep, which is its limit.
    """
    if len(conditions) <= _CHAINED:
        return operator.join(conditions)
    middle = len(conditions) // 2
    halves = (conditions[:middle], conditions[middle:])
    return operator.join(f"({_balanced(half, operator)})" for half in halves)
