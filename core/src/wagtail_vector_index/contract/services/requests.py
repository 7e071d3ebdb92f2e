"""The steps that an operation yields: requests, several requests at once, and pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..sansio import Steps

__all__ = ["LateError", "Pause", "Request", "Together", "Within", "repeated", "with_deadline"]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to a service. Derive from this class, and add what `Service.send` needs.

    Args:
        writes: whether the request changes anything. A request that writes is sent again as
            often as the service allows. A request that only reads is not sent again after the
            deadline, because its caller has waited long enough by then.
        undo: makes the steps that remove what an attempt may have left behind. They are carried
            out before the request is sent again, for a service that does not repair what it wrote
            in part.
    """

    writes: bool = False
    undo: Callable[[], Steps[None]] | None = None


@dataclass(frozen=True)
class Together:
    """Requests that are sent at once, as many as the service's ``concurrency`` allows.

    The answer is a list in the order of the requests: for each request its answer, or the
    `BackendError` that it ended with.

    Args:
        makers: make the requests. Each is called only when its request is due, so that the
            bodies of all requests need not fit into memory.
    """

    makers: Sequence[Callable[[], Request]]


@dataclass(frozen=True)
class Pause:
    """A pause of so many seconds; the answer is None."""

    seconds: float


@dataclass(frozen=True)
class Within:
    """A deadline for the rest of an operation: so many seconds from now; the answer is None.

    Without it, the deadline is the service's ``timeout``, from the beginning of the operation.

    It covers the whole wait, with all requests, repetitions and pauses, however slowly the service
    answers. After it, each request ends with `LateError`, and none is sent any more. A later
    `Within` replaces it.
    """

    seconds: float


class LateError(TimeoutError):
    """Raised for a request that has no answer within the operation's ``seconds``.

    `ServiceErrors.explain` gets it, like an error of the client. If that returns it as it is, it
    becomes `BackendUnavailable`.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[LateError], tuple[float]]:
        return type(self), (self.seconds,)


def with_deadline(steps: Steps[ResultT], seconds: float) -> Steps[ResultT]:
    """Return steps that end within so many seconds, unless they set another deadline."""
    yield Within(seconds)
    return (yield from steps)


def repeated(
    request: Any,
    until: Callable[[Any], bool],
    *,
    timeout: float,
    each: float,
    first: float,
    longest: float,
) -> Steps[Any]:
    """Send a request repeatedly until its answer is the wanted one, and return the last answer.

    Args:
        request: the request to send.
        until: returns whether an answer is the wanted one.
        timeout: seconds after which the answer is returned as it is.
        each: seconds that one answer may take.
        first: seconds before the first repetition; each further wait is twice as long.
        longest: the most seconds between two repetitions.

    Example::

        times = {"timeout": 60, "each": 10, "first": 0.02, "longest": 2}
        state = yield from repeated(request, is_ready, **times)
    """
    end, pause = time.monotonic() + timeout, first
    while True:
        yield Within(each)
        answer = yield request
        if until(answer) or time.monotonic() >= end:
            return answer
        yield Within(pause)
        yield Pause(pause)
        pause = min(2 * pause, longest)
