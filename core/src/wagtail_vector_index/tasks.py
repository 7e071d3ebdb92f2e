"""Tasks for the tasks framework: `django_tasks`, or Django's own."""

from __future__ import annotations

import datetime as dt
import logging
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.db import Error
from django.db.models import Q
from django.utils import timezone

logger = logging.getLogger(__name__)

# Wagtail installs `django_tasks` for as long as it supports a Django without tasks.
_FRAMEWORKS = [name for name in ("django_tasks", "django.tasks") if find_spec(name)]
_tasks: Any = import_module(_FRAMEWORKS[0])

#: A task that is already scheduled at most this much later makes another one unnecessary.
_TOLERANCE = dt.timedelta(seconds=1)


@_tasks.task()  # type: ignore[untyped-decorator]
def apply_pending_changes(index_name: str, failures: int = 0, tenant: str = "") -> None:
    """Write the changes that are due in an index's outbox, and send them to the vector backends.

    After a failure, another task tries again later. If the queue cannot defer tasks, or does not
    take one, a thread of the process that runs this task tries again, for as long as that process
    lives.

    Args:
        index_name: the name of the index.
        failures: how many tasks in a row have failed before this one.
        tenant: the schema of the tenant whose index it is, on a site with tenants.
    """
    from .background.attempting import attempt
    from .models.tenants import in_tenant

    with in_tenant(tenant):
        made = attempt(index_name, failures)
        if made.retry_in is not None:
            _try_again(index_name, made.failures, made.retry_in)


@_tasks.task()  # type: ignore[untyped-decorator]
def rebuild_index(index_name: str, failures: int = 0, tenant: str = "") -> None:
    """Rebuild an index beside the one in use, and replace the one in use with it.

    While another process rebuilds the index, the task takes a share of the work. After a failure,
    it is tried again, in the same way as `apply_pending_changes`.

    Args:
        index_name: the name of the index.
        failures: how many tasks in a row have failed before this one.
        tenant: the schema of the tenant whose index it is, on a site with tenants.
    """
    from .background.attempting import attempt
    from .background.worker import worker
    from .models.tenants import in_tenant

    with in_tenant(tenant):
        made = attempt(index_name, failures, rebuild=True)
        if made.retry_in is None:
            return
        if not made.failures:
            _try_again(index_name, 0, made.retry_in)
        elif not _put_off(rebuild_index, index_name, made.failures, made.retry_in):
            worker().rebuild(index_name, made.retry_in, made.failures)


def _try_again(index_name: str, failures: int, seconds: float) -> None:
    from .background.worker import worker

    if _can_defer(apply_pending_changes) and not _is_next(index_name, seconds):
        return
    if not _put_off(apply_pending_changes, index_name, failures, seconds):
        worker().wake(index_name, seconds)


def _can_defer(some_task: Any) -> bool:
    return bool(some_task.get_backend().supports_defer)


def _is_next(index_name: str, seconds: float) -> bool:
    """Return whether no other task is scheduled for that time or earlier, and note this one.

    Otherwise every failing task would add one more task.
    """
    from .indexing.plan import live_collections

    now = timezone.now()
    run_after = now + dt.timedelta(seconds=seconds)
    not_in_time = Q(retry_task_at__lte=now) | Q(retry_task_at__gt=run_after + _TOLERANCE)
    collections = live_collections(index_name).filter(Q(retry_task_at=None) | not_in_time)
    try:
        return bool(collections.update(retry_task_at=run_after))
    except Error:  # the database is down
        return True


def _put_off(some_task: Any, index_name: str, failures: int, seconds: float) -> bool:
    """Enqueue a task for later; return whether the queue has taken it."""
    if not _can_defer(some_task):
        return False
    run_after = timezone.now() + dt.timedelta(seconds=seconds)
    return is_enqueued(some_task.using(run_after=run_after), index_name, failures)


def is_enqueued(some_task: Any, index_name: str, *arguments: Any) -> bool:
    """Enqueue a task; return whether the queue has taken it, and log its error otherwise."""
    from .indexing.failures import error_text
    from .models.tenants import current_tenant

    try:
        some_task.enqueue(index_name, *arguments, tenant=current_tenant())
    except Exception as error:  # noqa: BLE001  # a queue may raise anything
        logger.warning(
            "The task queue took no task for %s. A thread of this process does the work: %s",
            index_name,
            error_text(error),
        )
        return False
    return True


def runs_at_once(some_task: Any) -> bool:
    """Return whether a task would run within the call that enqueues it."""
    # Both frameworks read the setting TASKS, which may name a backend of either.
    modules = [import_module(f"{framework}.backends.immediate") for framework in _FRAMEWORKS]
    immediate = tuple(module.ImmediateBackend for module in modules)
    return isinstance(_tasks.task_backends[some_task.backend], immediate)
