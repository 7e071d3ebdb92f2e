"""Ends a call after a total time, whatever it waits for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["within"]

ResultT = TypeVar("ResultT")


def within(seconds: float, call: Callable[[], ResultT]) -> ResultT:
    """Return what a call returns, or raise its error or, after so many seconds, TimeoutError.

    An HTTP client limits only each wait for the network: a service that sends a byte now and
    then, or a name server that is slow, would hold up the caller for ever. The call is left to a
    thread of its own, which ends when the client gives up.
    """
    result: Future[ResultT] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001  # the caller gets it
            result.set_exception(error)

    threading.Thread(target=run, name="embedding a query", daemon=True).start()
    return result.result(timeout=seconds)
