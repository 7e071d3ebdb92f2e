"""Operations without I/O ("sans-I/O"), so that each is written once.

An operation that waits for a network is needed twice: for callers with threads, and for
callers with an event loop. So it is written as a generator that does no I/O of its own. It
yields *requests*; a driver carries each out and sends the answer back into the generator, or
throws the error into it. `run` drives with blocking calls, `arun` with awaited ones: the order
of the requests, and what is done with their answers, is the same code.

Example::

    def greeting(name: str) -> Steps[str]:
        word = yield Call(sync=client.word, asynchronous=aclient.word)
        return f"{word}, {name}"

    run(greeting("Ada"))
    await arun(greeting("Ada"))

What a request is, is between the operation and its driver: the argument ``answer`` carries
requests out. By default each is a `Call`, which knows both of its forms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from asgiref.sync import sync_to_async

__all__ = ["Call", "Steps", "arun", "run"]

ResultT = TypeVar("ResultT")

#: An operation: yields requests, is sent their answers, and returns its result.
Steps: TypeAlias = Generator[Any, Any, ResultT]


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that may wait for a network, in its two forms."""

    sync: Callable[[], Any]
    asynchronous: Callable[[], Awaitable[Any]]


def run(steps: Steps[ResultT], answer: Callable[[Any], Any] | None = None) -> ResultT:
    """Run an operation to its end, and return its result.

    Args:
        steps: the operation.
        answer: carries a request out and returns its answer; what it raises is thrown into
            the operation. By default requests are of the type `Call`.
    """
    answer = answer or _call
    state = _State(steps)
    state.resume()
    while not state.done:
        try:
            value, error = answer(state.request), None
        except Exception as raised:  # noqa: BLE001  # the operation decides what to do with it
            value, error = None, raised
        state.resume(value, error)
    return state.result  # type: ignore[no-any-return]


async def arun(
    steps: Steps[ResultT],
    answer: Callable[[Any], Awaitable[Any]] | None = None,
    *,
    blocking: bool = True,
) -> ResultT:
    """Run an operation to its end on the event loop, like `run`.

    Args:
        steps: the operation.
        answer: carries a request out, awaited.
        blocking: whether the operation blocks between its requests, as it does if it reads a
            database of Django's; then it runs in the thread that Django does this in.
    """
    answer = answer or _acall
    state = _State(steps)

    async def resume(*outcome: Any) -> None:
        if blocking:
            await sync_to_async(state.resume)(*outcome)
        else:
            state.resume(*outcome)

    await resume()
    while not state.done:
        try:
            value, error = await answer(state.request), None
        except Exception as raised:  # noqa: BLE001  # the operation decides what to do with it
            value, error = None, raised
        await resume(value, error)
    return state.result  # type: ignore[no-any-return]


def _call(request: Call) -> Any:
    return request.sync()


def _acall(request: Call) -> Awaitable[Any]:
    return request.asynchronous()


class _State:
    """How far an operation has got: to a request, or to its result."""

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self.request: Any = None
        self.result: Any = None
        self.done = False

    def resume(self, value: Any = None, error: Exception | None = None) -> None:
        """Begin, or continue with the answer to the request or with its error."""
        try:
            self.request = self._steps.send(value) if error is None else self._steps.throw(error)
        except StopIteration as end:
            self.done, self.result = True, end.value
