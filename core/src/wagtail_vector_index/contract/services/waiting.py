"""Threads that wait for services, so that no caller waits longer than it wants to."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
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
    waited = _Call(call)
    (_taken() or _Thread()).start_call(waited)
    if not waited.has_ended.acquire(timeout=seconds):
        return None
    outcome, waited.outcome = waited.outcome, None  # an error's traceback refers to the call
    return outcome


def end_idle() -> None:
    """End the threads without a call, and wait for their ends."""
    while (thread := _taken()) is not None:
        thread.start_call(None)
        thread.join()


def _taken() -> _Thread | None:
    """Return a thread that is idle no more, or None if there is none."""
    while True:
        try:
            thread = _idle.pop()
        except IndexError:
            return None
        # A server may fork in C, where Python's hooks do not run: those threads are its parent's.
        if thread.process == os.getpid():
            return thread


class _Call:
    """A call, and its outcome once ``has_ended`` can be acquired.

    Locks are all that threads need here. Queues written in Python take longer than the rest of a
    request, and gevent replaces those written in C even where it leaves the threads as they are.
    """

    __slots__ = ("call", "caller", "has_ended", "outcome")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.caller = threading.get_native_id()
        self.outcome: Outcome[Any] | None = None
        self.has_ended = threading.Lock()
        self.has_ended.acquire()

    def run(self) -> None:
        try:
            self.outcome = self.call(), None
        except BaseException as error:  # noqa: BLE001  # the caller gets it
            self.outcome = None, error


class _Thread(threading.Thread):
    """A thread that runs one call after another, and is one of the idle in between."""

    def __init__(self) -> None:
        super().__init__(name="waiting for a service", daemon=True)
        self.process = os.getpid()
        self._given: _Call | None = None
        self._is_given = threading.Lock()
        self._is_given.acquire()
        self.start()

    def start_call(self, call: _Call | None) -> None:
        """Run a call; None ends the thread."""
        self._given = call
        self._is_given.release()

    def run(self) -> None:
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        if not self._is_given.acquire(timeout=IDLE):
            return not self._is_dismissed()
        call, self._given = self._given, None
        if call is None:
            return False
        call.run()
        # A greenlet instead of a thread costs little, and another thread's could not wake it up.
        is_kept = threading.get_native_id() != call.caller
        if is_kept:
            # Before the end, so that the caller's next call finds this thread.
            _idle.append(self)
        call.has_ended.release()
        return is_kept

    def _is_dismissed(self) -> bool:
        try:
            _idle.remove(self)
        except ValueError:  # a caller has just taken this thread
            return False
        return True


if hasattr(os, "register_at_fork"):
    # Python warns of a fork beside other threads. A child process has none of them.
    os.register_at_fork(before=end_idle, after_in_child=_idle.clear)
