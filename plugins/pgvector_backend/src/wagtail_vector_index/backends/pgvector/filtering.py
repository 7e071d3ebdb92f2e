"""Translates filters to SQL. Values are parameters; names come from the checked spec."""

from __future__ import annotations

from typing import Any

from wagtail_vector_index.contract import And, Comparison, FilterNode, IsNull, Not

from .columns import COLUMN_TYPES, column_of

OPERATORS = {"exact": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def where(filter: FilterNode | None) -> tuple[str, list[Any]]:
    """Return a condition with ``%s`` placeholders, and its parameters.

    NULL stands for no value. A comparison with NULL is neither true nor false, so only NOT needs
    care: the negation must match.
    """
    parameters: list[Any] = []
    return ("TRUE" if filter is None else _condition(filter, parameters)), parameters


def _condition(node: FilterNode, parameters: list[Any]) -> str:
    if isinstance(node, Comparison):
        return _comparison(node, parameters)
    if isinstance(node, IsNull):
        return f"{column_of(node.field)} IS NULL"
    if isinstance(node, Not):
        if isinstance(node.child, IsNull):
            return f"{column_of(node.child.field)} IS NOT NULL"
        return f"({_condition(node.child, parameters)}) IS NOT TRUE"
    children = [f"({_condition(child, parameters)})" for child in node.children]
    if isinstance(node, And):
        return " AND ".join(children) or "TRUE"
    return " OR ".join(children) or "FALSE"


def _comparison(node: Comparison, parameters: list[Any]) -> str:
    column, type_ = column_of(node.field), COLUMN_TYPES[node.type]
    if node.lookup == "in":
        parameters.append([type_.compared(value) for value in node.value])
        return f"{column} = ANY(%s::{type_.cast}[])"
    parameters.append(type_.compared(node.value))
    if node.lookup == "contains":
        return f"{column} @> ARRAY[%s::{type_.cast}]"
    return f"{column} {OPERATORS[node.lookup]} %s::{type_.cast}"
