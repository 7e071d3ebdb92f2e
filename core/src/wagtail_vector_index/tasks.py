"""Tasks for the tasks framework: `django_tasks`, or that of Django itself."""

from __future__ import annotations

from typing import Any

try:
    from django_tasks import task, task_backends
    from django_tasks.backends.immediate import ImmediateBackend
except ImportError:  # Wagtail brings it, until it needs it no more
    from django.tasks import task, task_backends  # type: ignore[no-redef]
    from django.tasks.backends.immediate import ImmediateBackend  # type: ignore[no-redef]


@task()
def apply_pending_changes(index_name: str) -> None:
    """Write what is due in an index's outbox, and tell the vector backends."""
    from .indexes.registry import get_index
    from .indexing.updating import apply_changes

    apply_changes(get_index(index_name))


def runs_at_once(some_task: Any) -> bool:
    """Whether a task would run within the call that enqueues it."""
    return isinstance(task_backends[some_task.backend], ImmediateBackend)
