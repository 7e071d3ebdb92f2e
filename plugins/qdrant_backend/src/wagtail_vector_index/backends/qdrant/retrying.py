"""How often a call is tried again, and how long is waited before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from tenacity import (
    RetryCallState,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from .calling import Call
from .errors import is_being_made, is_passing, is_timeout
from .options import QdrantOptions

#: Seconds before the first repetition; then twice as many, and so on.
FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0

#: Seconds between two looks at a collection that is being indexed.
FIRST_LOOK = 0.02
LONGEST_LOOK = 2.0


def policy(call: Call, options: QdrantOptions) -> dict[str, Any]:
    """The arguments of tenacity's ``Retrying`` for a call.

    Reading is not tried again after a time-out, since whoever waits for it has waited for
    long enough; nor is anything that would take longer than that.
    """
    often, late = stop_after_attempt(options.max_retries + 1), stop_before_delay(options.timeout)

    def stop(state: RetryCallState) -> bool:
        error = _error_of(state)
        if error is not None and is_being_made(error):
            return late(state)
        return often(state) or (not call.writes and late(state))

    return {
        "retry": retry_if_exception(is_passing if call.writes else _is_quickly_passing),
        "stop": stop,
        "wait": _wait(options.timeout),
        "reraise": True,
    }


def waiting(until: Callable[[Any], bool], options: QdrantOptions) -> dict[str, Any]:
    """The arguments of tenacity's ``Retrying`` for a call whose result must become another."""
    return {
        "retry": retry_if_result(lambda result: not until(result)),
        "stop": stop_after_delay(options.indexing_timeout),
        "wait": wait_exponential(multiplier=FIRST_LOOK, max=LONGEST_LOOK),
        "retry_error_callback": _last_result,
    }


def _wait(timeout: float) -> Callable[[RetryCallState], float]:
    exponential = wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
    longer = exponential + wait_random(0, FIRST_WAIT)

    def wait(state: RetryCallState) -> float:
        error = _error_of(state)
        if isinstance(error, ResourceExhaustedResponse):
            return min(float(error.retry_after_s), timeout)
        return longer(state)

    return wait


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _is_quickly_passing(error: BaseException) -> bool:
    return is_passing(error) and not is_timeout(error)


def _last_result(state: RetryCallState) -> Any:
    return state.outcome.result() if state.outcome else None
