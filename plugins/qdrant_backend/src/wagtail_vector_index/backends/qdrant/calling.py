"""Calls to a client, and the operations that consist of them.

An operation is a generator: it yields what it wants called and is sent what came of it. So
it is written once, and driven by a client for threads or by one for an event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from wagtail_vector_index.exceptions import BackendError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a client's method.

    Args:
        method: its name.
        collection: the name of the collection in the site, for errors; empty for none.
        arguments: makes the arguments, when the call's turn has come.
        writes: whether it changes anything; such calls are tried again after a time-out.
        until: what the result must satisfy; until then the call is repeated.
        check: raises BackendError for a result that is no success.
    """

    method: str
    collection: str = ""
    arguments: Callable[[], Mapping[str, Any]] = dict
    writes: bool = False
    until: Callable[[Any], bool] | None = None
    check: Callable[[Any], None] | None = None


#: What came of one of several calls that were made together.
Outcome: TypeAlias = Any | BackendError

#: Yields a call, and is sent its result or thrown its error; or yields a list of calls, which
#: may be made at the same time, and is sent a list of their outcomes.
Steps: TypeAlias = Generator[Call | list[Call], Any, T]


def drive(steps: Steps[T], ask: Callable[[Call | list[Call]], Outcome]) -> T:
    """Take all steps of an operation, and give what it gives."""
    outcome: Outcome = None
    while True:
        try:
            wanted = _next(steps, outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        outcome = ask(wanted)


async def adrive(steps: Steps[T], ask: Callable[[Call | list[Call]], Awaitable[Outcome]]) -> T:
    """Like `drive`."""
    outcome: Outcome = None
    while True:
        try:
            wanted = _next(steps, outcome)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        outcome = await ask(wanted)


def _next(steps: Steps[Any], outcome: Outcome) -> Call | list[Call]:
    if isinstance(outcome, BackendError):
        return steps.throw(outcome)
    return steps.send(outcome)
