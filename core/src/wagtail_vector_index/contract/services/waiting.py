"""Threads that wait for services, so that no caller waits longer than it wants to."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["end_idle", "outcome_in_thread"]

ResultT = TypeVar("ResultT")

Outcome: TypeAlias = tuple[ResultT, None] | tuple[None, BaseException]

#: The seconds after which a thread without a call ends.
IDLE = 10.0

_idle: deque[_Thread] = deque()


def outcome_in_thread(call: Callable[[], ResultT], seconds: float) -> Outcome[ResultT] | None:
    """Return what the call returns and None, or None and its error; None if it takes longer.

    Each call has a thread of its own. A thread that is done waits for another call, because to
    start one for each request would take a large part of a search's time. An executor of the
    standard library would limit the calls, and the process could not exit before the last answer.
    """
    outcome: SimpleQueue[Outcome[ResultT]] = SimpleQueue()
    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
    thread.calls.put((call, outcome))
    try:
        return outcome.get(timeout=seconds)
    except Empty:
        return None


class _Thread(threading.Thread):
    """A thread that runs one call after another, and is one of the idle in between."""

    def __init__(self) -> None:
        super().__init__(name="waiting for a service", daemon=True)
        self.calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]] | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        try:
            given = self.calls.get(timeout=IDLE)
        except Empty:
            return not self._is_dismissed()
        if given is None:
            return False
        call, outcome = given
        try:
            found: Any = call(), None
        except BaseException as error:  # noqa: BLE001  # the caller gets it
            found = None, error
        # Before the outcome, so that the caller's next call finds this thread.
        _idle.append(self)
        outcome.put(found)
        del found  # an error's traceback refers to this frame
        return True

    def _is_dismissed(self) -> bool:
        try:
            _idle.remove(self)
        except ValueError:  # a caller has just taken this thread
            return False
        return True


def end_idle() -> None:
    """End the threads without a call, and wait for their ends."""
    while True:
        try:
            thread = _idle.pop()
        except IndexError:
            return
        thread.calls.put(None)
        thread.join()


if hasattr(os, "register_at_fork"):
    # Python warns of a fork beside other threads. A child process has none of them.
    os.register_at_fork(before=end_idle, after_in_child=_idle.clear)
