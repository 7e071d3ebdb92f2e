"""Operations without I/O ("sans-I/O"), so that each is written once.

An operation that waits for a network is needed twice: for callers with threads, and for
callers with an event loop. So each operation is written as a generator that does no I/O. The
generator yields *requests*. A driver carries each request out, and sends the answer back into
the generator or throws the error into it. `run` drives with blocking calls, `arun` with awaited
ones. Both share the code that orders the requests and handles their answers.

Example::

    def greeting(name: str) -> Steps[str]:
        word = yield Call(sync=client.word, asynchronous=aclient.word)
        return f"{word}, {name}"

    run(greeting("Ada"))
    await arun(greeting("Ada"))

The operation and its driver agree on what a request is: the argument ``answer`` carries
requests out. By default each request is a `Call`, which holds both of its forms.
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
        answer: carries a request out and returns its answer; an error that it raises is
            thrown into the operation. By default requests are of the type `Call`.
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
        blocking: whether the operation blocks between its requests, for example because it
            reads Django's database; then it runs in the thread that Django uses for this.
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
    """The progress of an operation: its current request, or its result."""

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self.request: Any = None
        self.result: Any = None
        self.done = False

    def resume(self, value: Any = None, error: Exception | None = None) -> None:
        """Start the operation, or continue it with the answer to its request or with the error."""
        try:
            self.request = self._steps.send(value) if error is None else self._steps.throw(error)
        except StopIteration as end:
            self.done, self.result = True, end.value
