"""Removes objects that nobody may find any more, without the help of an embedding service."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from django.utils import timezone

from ..content.declaration import IndexDeclaration
from ..models.tables import Collection, index_database
from ..models.transactions import in_transaction
from ..plugins.calling import notify
from .comparing import gone_batches
from .expanding import expand
from .outbox import object_changes
from .plan import live_collections
from .preparing import PreparedObject
from .writing import Superseded, Written, write

logger = logging.getLogger(__name__)

_SLICE = 500

#: How often in a row another process may be faster before the objects are left to it.
_MAX_SETBACKS = 50


def remove_gone(index: IndexDeclaration, *, compare: bool = False) -> int:
    """Remove objects that were deleted, unpublished or restricted; return their number.

    Only the removals are written, so neither settings nor services matter. The outbox keeps
    the changes of all other objects.

    Args:
        index: the index.
        compare: whether to look at all objects that are indexed; by default, only at those in
            the outbox.
    """
    collections = live_collections(index.name)
    if not collections.exists():
        return 0
    expand(index, timezone.now())
    batches = gone_batches(index, collections) if compare else _gone_from_outbox(index)
    return sum(_remove(index, keys) for keys in batches)


def _remove(index: IndexDeclaration, keys: list[str]) -> int:
    """Remove objects, except those that are published meanwhile; return their number."""
    for _ in range(_MAX_SETBACKS):
        collections = list(live_collections(index.name))
        if not collections:
            return 0
        changes = object_changes(index.name).filter(object_key__in=keys)
        remove = partial(
            _write, index, collections, keys, list(changes.values_list("pk", flat=True))
        )
        try:
            written = in_transaction(remove, index_database())
        except Superseded:  # another process writes the same changes, or an object is published
            visible = index.sources_among(keys)
            keys = [key for key in keys if key not in visible]
            if not keys:
                break
        else:
            if written.deleted:
                notify("index_updated", index=index, upserted=[], deleted=written.deleted)
            return len(keys)
    else:
        logger.warning(
            "%s: %s objects that are gone could not be removed, since other processes were faster"
            " each time. They are removed with the next change.",
            index.name,
            len(keys),
        )
    return 0


def _write(
    index: IndexDeclaration, collections: list[Collection], keys: list[str], changes: list[int]
) -> Written:
    """Write the removal of objects, unless one of them may be found again by now.

    Raises:
        Superseded: nothing was written.
    """
    written = write(collections, {key: PreparedObject() for key in keys}, {}, changes)
    # Until the commit, nobody else writes documents. So what is published after this look is
    # written after the removal, and its row in the outbox is not among the deleted ones.
    if index.sources_among(keys):
        raise Superseded
    return written


def _gone_from_outbox(index: IndexDeclaration) -> Iterator[list[str]]:
    """Yield the keys of objects in the outbox that nobody may find any more, each once.

    Few rows are in memory at a time, since all objects of a large site may wait for a service.
    """
    rows = object_changes(index.name).order_by("pk").values_list("pk", "object_key")
    last = 0
    while some := list(rows.filter(pk__gt=last)[:_SLICE]):
        last = some[-1][0]
        keys = list(dict.fromkeys(key for _, key in some))
        visible = index.sources_among(keys)
        if gone := [key for key in keys if key not in visible]:
            yield gone
