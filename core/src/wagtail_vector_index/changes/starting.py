"""Starts drains and rebuilds, which never run within a request.

A drain starts after the editor's transaction is committed. A rebuild starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction

from ..models.tables import index_database
from ..models.tenants import current_tenant, in_tenant


def drain_after_commit(index_name: str) -> None:
    """Start a drain of an index after the current transaction.

    Many changes in one transaction start one drain. If ``WAGTAIL_VECTOR_INDEX_AUTO_UPDATE`` is
    "inline", each change starts its own drain: in tests, Django runs the callbacks of each
    block but keeps them registered, so that a drain that has run would seem still to come.
    """
    from ..conf import auto_update

    using = index_database()
    connection = connections[using]
    if not (connection.in_atomic_block or connection.get_autocommit()):
        return  # Django does not tell of the commit. The next drain writes this change too.
    start = _Drain(index_name, current_tenant())
    is_inline = auto_update() == "inline"
    if not is_inline and _is_coming(start, connection):
        return
    # If the drain cannot be started, the editor's change is still made, and is in the outbox.
    transaction.on_commit(start, using=using, robust=not is_inline)


@dataclass(frozen=True)
class _Drain:
    """Starts a drain of an index, in the tenant's schema where the change was noted."""

    index_name: str
    tenant: str

    def __call__(self) -> None:
        with in_tenant(self.tenant):
            _start(self.index_name)


def _is_coming(start: _Drain, connection: Any) -> bool:
    """Return whether the current transaction already starts this drain at its end."""
    # If a savepoint is rolled back, Django removes the callbacks that were added in it.
    return any(hook == start for _, hook, *_ in connection.run_on_commit)


def _start(index_name: str) -> None:
    from ..background.worker import worker
    from ..conf import auto_update
    from ..indexes.registry import get_index
    from ..indexing.updating import apply_changes
    from ..tasks import apply_pending_changes, is_enqueued, runs_at_once

    if auto_update() == "inline":
        apply_changes(get_index(index_name))
    elif runs_at_once(apply_pending_changes) or not is_enqueued(apply_pending_changes, index_name):
        worker().wake(index_name)


def start_rebuild(index_name: str) -> None:
    """Start a rebuild of an index: in a task or, if tasks run at once, in a thread.

    Raises:
        Exception: the task queue cannot be reached.
    """
    from ..background.worker import worker
    from ..conf import auto_update
    from ..indexes.registry import get_index
    from ..indexing.updating import update
    from ..tasks import rebuild_index, runs_at_once

    if auto_update() == "inline":
        update(get_index(index_name), rebuild=True)
    elif runs_at_once(rebuild_index):
        worker().rebuild(index_name)
    else:
        rebuild_index.enqueue(index_name, tenant=current_tenant())
