"""Starts what writes to indexes, and never within the request.

A drain is started once the editor's transaction is committed, a rebuild at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction

from ..models.tables import index_database


def drain_after_commit(index_name: str) -> None:
    """Have the changes of an index written soon after the transaction that is running.

    Many changes in one transaction start one drain; inline, each starts one. Tests run what
    waits for a commit block by block, and nothing of it goes: what an earlier block asked for
    would seem to be still to come.
    """
    from ..conf import auto_update

    using = index_database()
    start = _starter(index_name)
    is_inline = auto_update() == "inline"
    if not is_inline and _is_coming(start, connections[using]):
        return
    # Whatever goes wrong with starting it, the editor's change is made, and is in the outbox.
    transaction.on_commit(start, using=using, robust=not is_inline)


def _is_coming(start: Callable[[], None], connection: Any) -> bool:
    """Whether the transaction that is running calls it at its end already."""
    # What was asked for within a savepoint goes with it, should that be rolled back.
    return any(hook is start for _, hook, *_ in connection.run_on_commit)


@functools.cache
def _starter(index_name: str) -> Callable[[], None]:
    def start_drain() -> None:
        _start(index_name)

    return start_drain


def _start(index_name: str) -> None:
    from ..background.worker import worker
    from ..conf import auto_update
    from ..indexes.registry import get_index
    from ..indexing.updating import apply_changes
    from ..tasks import apply_pending_changes, runs_at_once

    if auto_update() == "inline":
        apply_changes(get_index(index_name))
    elif runs_at_once(apply_pending_changes):
        worker().wake(index_name)
    else:
        apply_pending_changes.enqueue(index_name)


def start_rebuild(index_name: str) -> None:
    """Have an index built anew: by a task, or where none is run later, by a thread.

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
        rebuild_index.enqueue(index_name)
