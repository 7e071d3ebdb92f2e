"""Sends requests again: how often, and after which wait. Needs tenacity."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from .deadlines import Deadline
from .errors import ServiceErrors
from .requests import LateError, Request

ResultT = TypeVar("ResultT")

#: Seconds before the first repetition. Each further wait is twice as long, plus a random part.
FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


class Retries:
    """Repeats requests whose first attempt has failed.

    That one is made without tenacity. Most requests need no other, and to prepare for others
    would take a tenth of our part of a search.

    Args:
        errors: say which errors may pass, and when.
        count: how often a request is sent again.
        timeout: seconds from the first attempt to the deadline of a request that reads.
    """

    def __init__(self, errors: ServiceErrors, *, count: int, timeout: float) -> None:
        self._errors = errors
        self._count = count
        self._timeout = timeout

    def again(
        self,
        attempt: Callable[[], ResultT],
        error: Exception,
        request: Request,
        started: float,
        deadline: Deadline,
    ) -> ResultT:
        """Return what a further attempt returns, or raise the error of the last one.

        Args:
            attempt: sends the request.
            error: the error of the first attempt.
            request: a write is sent again ``count`` times; a read, until the deadline at most.
            started: the moment of ``time.monotonic()`` when the first attempt began.
            deadline: the deadline of the whole operation, beyond which nothing is sent again.
        """
        policy = self._policy(request, started, deadline)
        return Retrying(**policy)(_continued(error, attempt))

    async def aagain(
        self,
        attempt: Callable[[], Awaitable[ResultT]],
        error: Exception,
        request: Request,
        started: float,
        deadline: Deadline,
    ) -> ResultT:
        """Like `again`, on the event loop."""
        following = _continued(error, attempt)

        async def next_attempt() -> ResultT:  # tenacity awaits only coroutine functions
            return await following()

        return await AsyncRetrying(**self._policy(request, started, deadline))(next_attempt)

    def _policy(self, request: Request, started: float, deadline: Deadline) -> dict[str, Any]:
        """Return the arguments of tenacity's ``Retrying``."""
        errors, timeout = self._errors, self._timeout
        often = stop_after_attempt(self._count + 1)
        exponential = wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
        backoff = exponential + wait_random(0, FIRST_WAIT)

        def wait(state: RetryCallState) -> float:
            asked = errors.retry_after(_error_of(state))
            return backoff(state) if asked is None else max(0.0, min(asked, timeout))

        def stop(state: RetryCallState) -> bool:
            if isinstance(_error_of(state), LateError) or state.upcoming_sleep >= deadline.left:
                return True
            is_late = time.monotonic() + state.upcoming_sleep >= started + timeout
            if errors.is_getting_ready(_error_of(state)):
                return is_late
            return often(state) or (not request.writes and is_late)

        return {
            "retry": retry_if_exception(lambda error: errors.is_passing(error, request)),
            "stop": stop,
            "wait": wait,
            "reraise": True,
        }


def _continued(error: Exception, attempt: Callable[[], ResultT]) -> Callable[[], ResultT]:
    """Return a function that first raises an error, and then makes an attempt at each call.

    So tenacity counts the attempt that ended with this error.
    """
    errors = [error]

    def next_attempt() -> ResultT:
        if errors:
            raise errors.pop()
        return attempt()

    return next_attempt


def _error_of(state: RetryCallState) -> Any:
    """Return the error of the last attempt: only an attempt that failed is repeated."""
    return state.outcome and state.outcome.exception()
