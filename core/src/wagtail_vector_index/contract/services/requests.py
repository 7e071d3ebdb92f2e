"""What an operation yields: requests to the service, several at once, and pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..sansio import Steps

__all__ = ["Pause", "Request", "Together", "repeated"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request to a service. Derive from it, and add what `Service.send` needs.

    Args:
        writes: whether it changes anything. What does is sent again as often as the service
            allows; what only reads is not sent again after the deadline, since whoever waits
            for it has then waited for long enough.
    """

    writes: bool = False


@dataclass(frozen=True)
class Together:
    """Requests under way at once, as many as the service's ``concurrency`` allows.

    The answer is a list with an item for each, in their order: its answer, or the
    `BackendError` that it ended with.

    Args:
        makers: make the requests. Each is called when it is its turn, so that the bodies of
            all requests need not fit into memory.
    """

    makers: Sequence[Callable[[], Request]]


@dataclass(frozen=True)
class Pause:
    """So many seconds in which nothing is done; the answer is None."""

    seconds: float


def repeated(
    request: Any, until: Callable[[Any], bool], *, timeout: float, first: float, longest: float
) -> Steps[Any]:
    """Send a request again and again until its answer is the wanted one; return the last answer.

    Args:
        request: what is yielded.
        until: whether an answer is the wanted one.
        timeout: seconds after which the answer is returned as it is.
        first: seconds before the first repetition; then twice as many, and so on.
        longest: the most seconds between two repetitions.

    Example::

        state = yield from repeated(look, is_ready, timeout=60, first=0.02, longest=2)
    """
    end, pause = time.monotonic() + timeout, first
    while not until(answer := (yield request)) and time.monotonic() < end:
        yield Pause(pause)
        pause = min(2 * pause, longest)
    return answer
