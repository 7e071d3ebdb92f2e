"""Notes changes in the outbox, so that no change is lost when a process ends.

Within a transaction, a change and its rows in the outbox are committed together. Outside of a
transaction, and in a transaction of another database, a change is committed before its rows can
be. For these, a promise is put into the outbox before the commit, and replaced by the rows after
it. If the process ends in between, the promise remains. It counts as a change after some minutes.

If a change is made in another database, and the caller rolls back a transaction of the outbox's
database, promise and rows are lost, but the change may stay.
"""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DataError, Error, connections, transaction
from django.db.models import Model, QuerySet

from ..conf import auto_update
from ..indexing.outbox import append, withdraw
from ..models.tables import PendingChange, index_database
from ..models.tenants import current_tenant, in_tenant, lacks_tables, missing_tables
from .starting import drain_after_commit

__all__ = [
    "Changes",
    "begin",
    "finish",
    "gather",
    "in_transaction",
    "merged",
    "note",
    "note_gathered",
]

logger = logging.getLogger(__name__)

#: The keys of changed objects, by the name of an index and the scope of the rows.
Changes = Mapping[tuple[str, PendingChange.Scope], Sequence[str]]

#: The attribute of an instance's state that holds its unfinished changes, by their senders.
_UNFINISHED = "vector_index_changes"

#: The attribute of an instance's state, or of a queryset, that holds its unfinished deletions.
_DELETED = "vector_index_deletions"


@dataclass(frozen=True, kw_only=True)
class _Unfinished:
    """A change that has begun."""

    #: The id of the promise in the outbox, if there is one.
    promise: uuid.UUID | None = None
    #: The changes that could be found only before.
    found: Changes = field(default_factory=dict)


def begin(
    sender: type[Model],
    instance: Any,
    using: str | None,
    expected: Changes,
    found: Changes | None = None,
) -> None:
    """Prepare for a change that a signal announces; outside of a transaction, promise it.

    Args:
        sender: the sender of the signal.
        instance: the object of the signal.
        using: the database of the change; by default that of the index tables.
        expected: what to promise.
        found: what `finish` must note, because it cannot be found after the change.
    """
    unfinished: dict[type[Model], _Unfinished] = vars(instance._state).setdefault(_UNFINISHED, {})  # noqa: SLF001
    found = found or {}
    promised = {} if in_transaction(using) else merged(expected, found)
    promise = _promise(promised) if promised else None
    # This also replaces what is left of a save that failed.
    unfinished[sender] = _Unfinished(promise=promise, found=found)


def finish(sender: type[Model], instance: Any, using: str | None, changes: Changes) -> None:
    """Note a change that was made, in place of what `begin` promised.

    Args:
        sender: the sender of the signal.
        instance: the object of the signal.
        using: the database of the change; by default that of the index tables.
        changes: the changes that were found after the change.
    """
    unfinished = vars(instance._state).get(_UNFINISHED, {}).pop(sender, None) or _Unfinished()  # noqa: SLF001
    note(merged(unfinished.found, changes), using, unfinished.promise)


def gather(origin: Any, instance: Model, using: str | None, changes: Changes) -> None:
    """Keep changes that a deletion is about to make, until `note_gathered` notes all at once.

    Args:
        origin: the object or the queryset whose deletion it is; None if the signal does not tell.
        instance: the object of the signal, which is deleted together with the origin.
        using: the database of the change.
        changes: the changes by the deletion of this object.
    """
    gathered: dict[tuple[str, PendingChange.Scope], dict[str, None]]
    gathered = _deletions(origin, instance).setdefault(_deletion(using), {})
    for where, keys in changes.items():
        gathered.setdefault(where, {}).update(dict.fromkeys(keys))


def note_gathered(origin: Any, instance: Model, using: str | None) -> bool:
    """Note what was gathered of a deletion; return whether anything had been gathered."""
    gathered = _deletions(origin, instance).pop(_deletion(using), None)
    note({where: list(keys) for where, keys in (gathered or {}).items()}, using)
    return gathered is not None


def _deletions(origin: Any, instance: Model) -> dict[Any, Any]:
    """Return the unfinished deletions that begin at an object or a queryset."""
    holder = origin if isinstance(origin, (Model, QuerySet)) else instance
    attributes = vars(holder._state if isinstance(holder, Model) else holder)  # noqa: SLF001
    return attributes.setdefault(_DELETED, {})  # type: ignore[no-any-return]


def _deletion(using: str | None) -> tuple[int, str | None]:
    # Several threads may delete what the same queryset chooses.
    return threading.get_ident(), using


def note(changes: Changes, using: str | None, promise: uuid.UUID | None = None) -> None:
    """Put changes into the outbox, and start their drains after the commit.

    Args:
        changes: the changes.
        using: the database of the change; by default that of the index tables.
        promise: the promise that the changes replace, if any.
    """
    if not (promise or changes):
        return
    tenant = current_tenant()
    if using in (None, index_database()) or not in_transaction(using):
        _replace(tenant, promise, changes)
        return
    # A drain before the commit would read the objects as they were before the change.
    promise = promise or _promise(changes)
    if not connections[using].in_atomic_block:
        return  # without autocommit, Django does not tell of the commit; the promise remains
    replace = functools.partial(_replace, tenant, promise, changes)
    transaction.on_commit(replace, using=using, robust=auto_update() != "inline")


def merged(*several: Changes) -> Changes:
    """Return changes together, without those that have no keys."""
    found: dict[tuple[str, PendingChange.Scope], list[str]] = {}
    for changes in several:
        for where, keys in changes.items():
            if keys:
                found[where] = list(dict.fromkeys([*found.get(where, ()), *keys]))
    return found


def in_transaction(using: str | None) -> bool:
    """Return whether a change in this database is part of a transaction."""
    connection = connections[using or index_database()]
    return connection.in_atomic_block or not connection.get_autocommit()


def _promise(changes: Changes) -> uuid.UUID | None:
    """Put a promise into the outbox, and return its id, or None if that failed."""
    promise = uuid.uuid4()
    return promise if _is_written(changes, promise=promise) else None


def _replace(tenant: str, promise: uuid.UUID | None, changes: Changes) -> None:
    with in_tenant(tenant):
        if _is_written(changes, withdrawn=promise):
            for index_name in dict.fromkeys(name for name, _ in changes):
                drain_after_commit(index_name)


def _is_written(
    changes: Changes, *, promise: uuid.UUID | None = None, withdrawn: uuid.UUID | None = None
) -> bool:
    write = functools.partial(_write, changes, promise, withdrawn)
    try:
        try:
            write(append)
        except DataError:
            write(_append_most)  # one key cannot be stored, which must not lose the others
    except Error as error:
        _log(changes, error)
        return False
    return True


def _write(
    changes: Changes,
    promise: uuid.UUID | None,
    withdrawn: uuid.UUID | None,
    add: Callable[..., None],
) -> None:
    # An error here must not break the editor's transaction, hence the savepoint.
    with transaction.atomic(using=index_database()):
        if withdrawn:
            withdraw(withdrawn)
        for (index_name, scope), keys in changes.items():
            add(index_name, keys, scope, promise)


def _append_most(
    index_name: str, keys: Sequence[str], scope: PendingChange.Scope, promise: uuid.UUID | None
) -> None:
    """Add changes to the outbox, except those whose keys the database refuses."""
    try:
        with transaction.atomic(using=index_database()):
            append(index_name, keys, scope, promise)
    except DataError as error:
        if len(keys) == 1:
            _log({(index_name, scope): keys}, error)
            return
        middle = len(keys) // 2
        for half in (keys[:middle], keys[middle:]):
            _append_most(index_name, half, scope, promise)


def _log(changes: Changes, error: Error) -> None:
    keys = [key for some in changes.values() for key in some]
    more = [f"{len(keys) - 3} more"] if len(keys) > 3 else []
    missing = f"{missing_tables()}. Then" if lacks_tables() else "To index it,"
    logger.error(
        "A change of %s could not be noted for %s. %s run: manage.py update_vector_indexes",
        ", ".join([*keys[:3], *more]) or "an object",
        ", ".join(dict.fromkeys(name for name, _ in changes)) or "an index",
        missing,
        exc_info=error,
    )
