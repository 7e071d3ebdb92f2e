"""Checks the names of arguments that templates and views of an API give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from typing import Any

from ..exceptions import InvalidQuery
from ..wording import did_you_mean

__all__ = ["check_names"]


def check_names(
    arguments: Iterable[str], method: Callable[..., Any], base: Callable[..., Any], *more: str
) -> None:
    """Raise InvalidQuery for the name of an argument that an index's method does not have.

    Args:
        arguments: the names.
        method: `search` or `find_similar` of an index.
        base: the same method of `VectorIndex`. An override that takes any arguments passes them
            on to it.
        more: the names of other arguments.
    """
    parameters = [*signature(method).parameters.values()]
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        parameters += signature(base).parameters.values()
    kinds = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD
    known = [*(each.name for each in parameters if each.kind not in kinds), *more]
    for name in arguments:
        if name not in known:
            raise InvalidQuery(f"There is no argument {name!r}.{did_you_mean(name, known)}")
