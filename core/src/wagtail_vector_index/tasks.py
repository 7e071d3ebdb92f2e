"""Tasks for the tasks framework: `django_tasks`, or that of Django itself."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Wagtail brings the first, until it needs it no more.
_FRAMEWORK = "django_tasks" if find_spec("django_tasks") else "django.tasks"
_tasks: Any = import_module(_FRAMEWORK)


@_tasks.task()  # type: ignore[untyped-decorator]
def apply_pending_changes(index_name: str) -> None:
    """Write what is due in an index's outbox, and tell the vector backends."""
    from .indexes.registry import get_index
    from .indexing.updating import apply_changes

    apply_changes(get_index(index_name))


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
