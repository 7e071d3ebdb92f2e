"""Evaluates filters over columns: a tree of comparisons becomes one mask of all rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wagtail_vector_index.contract import And, FilterNode, IsNull, Not, Or

from .arrays import Mask
from .columns import Column


def fields_of(node: FilterNode) -> set[str]:
    """Return the fields that a filter names."""
    if isinstance(node, (And, Or)):
        return set().union(*map(fields_of, node.children))
    if isinstance(node, Not):
        return fields_of(node.child)
    return {node.field}


def matching(node: FilterNode, columns: Mapping[str, Column], count: int) -> Mask:
    """Return a mask: for each of ``count`` rows, whether it matches.

    Args:
        node: the filter.
        columns: the column of each field that the filter names.
        count: the number of rows.
    """
    if isinstance(node, And):
        return _combined(np.logical_and, np.ones(count, np.bool_), node.children, columns)
    if isinstance(node, Or):
        return _combined(np.logical_or, np.zeros(count, np.bool_), node.children, columns)
    if isinstance(node, Not):
        return ~matching(node.child, columns, count)
    if isinstance(node, IsNull):
        return columns[node.field].is_missing()
    return columns[node.field].compare(node.lookup, node.value)


def _combined(
    combine: np.ufunc,
    mask: Mask,
    children: tuple[FilterNode, ...],
    columns: Mapping[str, Column],
) -> Mask:
    for child in children:
        combine(mask, matching(child, columns, len(mask)), out=mask)
    return mask
