"""The policy for sending a request again: how often, and after which wait. Needs tenacity."""

from __future__ import annotations

from typing import Any

from tenacity import (
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from .errors import ServiceErrors
from .limits import Limit
from .requests import LateError, Request

#: Seconds before the first repetition. Each further wait is twice as long, plus a random part.
FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0


def policy(
    request: Request, errors: ServiceErrors, *, retries: int, timeout: float, limit: Limit
) -> dict[str, Any]:
    """Return the arguments of tenacity's ``Retrying`` for a request.

    Args:
        request: a write is sent again ``retries`` times; a read, until the deadline at most.
        errors: say which errors may pass, and when.
        retries: how often a request is sent again.
        timeout: seconds until the deadline.
        limit: the limit of the whole operation, beyond which nothing is sent again.
    """
    often, late = stop_after_attempt(retries + 1), stop_before_delay(timeout)
    beyond = stop_before_delay(limit.left)
    backoff = wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT) + wait_random(0, FIRST_WAIT)

    def wait(state: RetryCallState) -> float:
        asked = errors.retry_after(_error_of(state))
        return backoff(state) if asked is None else min(asked, timeout)

    def stop(state: RetryCallState) -> bool:
        if isinstance(_error_of(state), LateError) or beyond(state):
            return True
        if errors.is_getting_ready(_error_of(state)):
            return late(state)
        return often(state) or (not request.writes and late(state))

    return {
        "retry": retry_if_exception(lambda error: errors.is_passing(error, request)),
        "stop": stop,
        "wait": wait,
        "reraise": True,
    }


def _error_of(state: RetryCallState) -> Any:
    """Return the error of the last attempt: only an attempt that failed is repeated."""
    return state.outcome and state.outcome.exception()
