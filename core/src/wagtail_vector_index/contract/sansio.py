"""Runs a search's steps, in a thread of the caller's or asynchronously.

A search is a generator: it reads the database itself and yields the calls that may wait
for a network. So the order of the steps is written once, and both kinds of caller get the
backends' native clients.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that may wait for a network, in its two forms."""

    sync: Callable[[], Any]
    asynchronous: Callable[[], Awaitable[Any]]


Steps = Generator[Call, Any, ResultT]


def run(steps: Steps[ResultT]) -> ResultT:
    """Run the steps to their end."""
    step = _Step(steps)
    while not step.done:
        try:
            value = step.call.sync()
        except Exception as error:  # noqa: BLE001  # the steps decide what to do with it
            step.throw(error)
        else:
            step.send(value)
    return step.result  # type: ignore[no-any-return]


async def arun(steps: Steps[ResultT]) -> ResultT:
    """Run the steps to their end: calls natively, what lies between them in a thread."""
    step = await sync_to_async(_Step)(steps)
    while not step.done:
        try:
            value = await step.call.asynchronous()
        except Exception as error:  # noqa: BLE001  # the steps decide what to do with it
            await sync_to_async(step.throw)(error)
        else:
            await sync_to_async(step.send)(value)
    return step.result  # type: ignore[no-any-return]


class _Step:
    """Where a generator stands: at a call, or at its result."""

    call: Call

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self.done = False
        self.result: Any = None
        self.send(None)

    def send(self, value: Any) -> None:
        self._go(lambda: self._steps.send(value))

    def throw(self, error: Exception) -> None:
        self._go(lambda: self._steps.throw(error))

    def _go(self, resume: Callable[[], Call]) -> None:
        try:
            self.call = resume()
        except StopIteration as stop:
            self.done, self.result = True, stop.value
