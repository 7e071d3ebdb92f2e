"""Translates filters to SQL. Values are parameters; names come from the checked spec."""

from __future__ import annotations

from functools import partial
from typing import Any

from wagtail_vector_index.contract import Comparison
from wagtail_vector_index.contract.sql import OPERATORS
from wagtail_vector_index.contract.sql import where as where_by

from .columns import COLUMN_TYPES


def _compare(column: str, node: Comparison) -> tuple[str, list[Any]]:
    type_ = COLUMN_TYPES[node.type]
    if node.lookup == "in":
        values = [type_.compared(value) for value in node.value]
        return f"{column} = ANY(%s::{type_.cast}[])", [values]
    value = type_.compared(node.value)
    if node.lookup == "contains":
        return f"{column} @> ARRAY[%s::{type_.cast}]", [value]
    return f"{column} {OPERATORS[node.lookup]} %s::{type_.cast}", [value]


#: Returns a condition with ``%s`` placeholders, and its parameters.
where = partial(where_by, compare=_compare)
