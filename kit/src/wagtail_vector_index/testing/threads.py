"""Calls in threads of their own, and an error that shows where they wait if they never return."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from time import monotonic
from typing import TypeVar

from django.conf import settings
from django.db import connections

__all__ = ["DEADLINE", "InThreads"]

T = TypeVar("T")

#: How many seconds may calls take together? A first call may load a model.
DEADLINE = 120


class InThreads:
    """A suite that calls its backend in threads. If they never end, its test does."""

    #: Did calls of this test never return? Its backend may then hold locks for ever.
    gave_up = False

    def thread_finished(self) -> None:
        """Release the resources of a thread. The suite calls it at the end of each thread."""
        if settings.configured:
            connections.close_all()

    def at_once(self, tasks: Sequence[Callable[[], T]], seconds: float | None = None) -> list[T]:
        """Return what these functions return, called at once, each in its own thread.

        Raises:
            AssertionError: some have not returned in time. The error shows where they wait.
            Exception: the error of the first function that raised one.
        """
        seconds = DEADLINE if seconds is None else seconds
        barrier = threading.Barrier(len(tasks), timeout=30)
        answers: list[futures.Future[T]] = [futures.Future() for _ in tasks]

        def run(task: Callable[[], T], answer: futures.Future[T]) -> None:
            try:
                barrier.wait()
                try:
                    result = task()
                finally:
                    self.thread_finished()
            except BaseException as error:  # noqa: BLE001  # the caller raises it
                answer.set_exception(error)
            else:
                answer.set_result(result)

        # At its end, Python waits for other threads than daemons.
        threads = [
            threading.Thread(target=run, args=each, daemon=True)
            for each in zip(tasks, answers, strict=True)
        ]
        for thread in threads:
            thread.start()
        end = monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, end - monotonic()))
        if not all(answer.done() for answer in answers):
            self.gave_up = True
            let_pools_go()
            stacks = "\n".join(stacks_of_others())
            raise AssertionError(f"These calls still wait after {seconds} s:\n{stacks}")
        return [answer.result() for answer in answers]

    def at_the_end(self, task: Callable[[], None]) -> None:
        """Call this at the end of a test, in a thread if the backend may wait for ever."""
        if self.gave_up:
            self.at_once([task])
        else:
            task()


def stacks_of_others() -> Iterator[str]:
    """Yield where each thread is, except this one."""
    frames = sys._current_frames()  # noqa: SLF001  # it is documented
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if thread is not threading.current_thread() and frame is not None:
            yield f"{thread.name}:\n{''.join(traceback.format_stack(frame))}"


def let_pools_go() -> None:
    """Don't let Python wait, at its end, for the pools that began in a daemon thread.

    Their threads are daemons too. Python has no public way to give up a pool of threads.
    """
    queues = getattr(futures.thread, "_threads_queues", {})
    for thread in list(queues):
        if thread.daemon:
            del queues[thread]
