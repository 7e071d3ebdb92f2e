"""Tasks for the tasks framework: `django_tasks`, or that of Django itself."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.db.models import Q
from django.utils import timezone

# Wagtail brings the first, until it needs it no more.
_FRAMEWORK = "django_tasks" if find_spec("django_tasks") else "django.tasks"
_tasks: Any = import_module(_FRAMEWORK)

#: By how much later a task may come that is put off already, for another to do without.
_TOLERANCE = dt.timedelta(seconds=1)


@_tasks.task()  # type: ignore[untyped-decorator]
def apply_pending_changes(index_name: str, failures: int = 0) -> None:
    """Write what is due in an index's outbox, and tell the vector backends.

    What fails is tried again by another task, where the queue can put one off, or else by
    a thread of the process that runs this one, as long as that lives.

    Args:
        index_name: the index.
        failures: how many tasks before this one came to nothing.
    """
    from .background.attempting import attempt

    made = attempt(index_name, failures)
    if made.retry_in is not None:
        _try_again(index_name, made.failures, made.retry_in)


@_tasks.task()  # type: ignore[untyped-decorator]
def rebuild_index(index_name: str, failures: int = 0) -> None:
    """Build an index anew beside the one in use, and let it take its place.

    While another process does so, there is nothing to do. What fails is tried again, as
    `apply_pending_changes` does.

    Args:
        index_name: the index.
        failures: how many tasks before this one came to nothing.
    """
    from .background.attempting import attempt
    from .background.worker import worker

    made = attempt(index_name, failures, rebuild=True)
    if made.retry_in is None:
        return
    if not made.failures:
        _try_again(index_name, 0, made.retry_in)
    elif rebuild_index.get_backend().supports_defer:
        _put_off(rebuild_index, index_name, made.failures, made.retry_in)
    else:
        worker().rebuild(index_name, made.retry_in, made.failures)


def _try_again(index_name: str, failures: int, seconds: float) -> None:
    from .background.worker import worker

    if not apply_pending_changes.get_backend().supports_defer:
        worker().wake(index_name, seconds)
    elif _is_next(index_name, seconds):
        _put_off(apply_pending_changes, index_name, failures, seconds)


def _is_next(index_name: str, seconds: float) -> bool:
    """Whether no other task comes as soon: or there would be more and more of them."""
    from .indexing.plan import live_collections

    now = timezone.now()
    run_after = now + dt.timedelta(seconds=seconds)
    comes_later = Q(retry_task_at__lte=now) | Q(retry_task_at__gt=run_after + _TOLERANCE)
    collections = live_collections(index_name).filter(Q(retry_task_at=None) | comes_later)
    return bool(collections.update(retry_task_at=run_after))


def _put_off(some_task: Any, index_name: str, failures: int, seconds: float) -> None:
    run_after = timezone.now() + dt.timedelta(seconds=seconds)
    some_task.using(run_after=run_after).enqueue(index_name, failures)


def runs_at_once(some_task: Any) -> bool:
    """Whether a task would run within the call that enqueues it."""
    immediate = import_module(f"{_FRAMEWORK}.backends.immediate")
    return isinstance(_tasks.task_backends[some_task.backend], immediate.ImmediateBackend)
