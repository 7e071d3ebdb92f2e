"""Tasks for the tasks framework: `django_tasks`, or that of Django itself."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.utils import timezone

# Wagtail brings the first, until it needs it no more.
_FRAMEWORK = "django_tasks" if find_spec("django_tasks") else "django.tasks"
_tasks: Any = import_module(_FRAMEWORK)


@_tasks.task()  # type: ignore[untyped-decorator]
def apply_pending_changes(index_name: str, failures: int = 0) -> None:
    """Write what is due in an index's outbox, and tell the vector backends.

    What fails is tried again by another task, where the queue can put one off, or else by
    a thread of the process that runs this one, as long as that lives.

    Args:
        index_name: the index.
        failures: how many tasks before this one came to nothing.
    """
    from .changes.attempting import attempt

    made = attempt(index_name, failures)
    # One that only waited leaves the next to the one that failed, lest they become more and more.
    if made.has_failed and made.retry_in is not None:
        _try_again(index_name, made.failures, made.retry_in)


def _try_again(index_name: str, failures: int, seconds: float) -> None:
    from .changes.worker import worker

    if apply_pending_changes.get_backend().supports_defer:
        run_after = timezone.now() + dt.timedelta(seconds=seconds)
        apply_pending_changes.using(run_after=run_after).enqueue(index_name, failures)
    else:
        worker().wake(index_name, seconds)


@_tasks.task()  # type: ignore[untyped-decorator]
def rebuild_index(index_name: str) -> None:
    """Build an index anew beside the one in use, and let it take its place."""
    from .indexes.registry import get_index
    from .indexing.updating import update

    update(get_index(index_name), rebuild=True)


def runs_at_once(some_task: Any) -> bool:
    """Whether a task would run within the call that enqueues it."""
    immediate = import_module(f"{_FRAMEWORK}.backends.immediate")
    return isinstance(_tasks.task_backends[some_task.backend], immediate.ImmediateBackend)
