"""Removes objects that nobody may find any more, without the help of an embedding service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ..content.declaration import IndexDeclaration
from ..contract.slices import slices
from ..plugins.calling import notify
from .comparing import gone_batches
from .expanding import expand
from .outbox import object_changes
from .plan import live_collections
from .preparing import PreparedObject
from .writing import Superseded, write

_SLICE = 500


def remove_gone(index: IndexDeclaration, *, compare: bool = False) -> int:
    """Remove objects that were deleted, unpublished or restricted; return their number.

    Only the removals are written, so neither settings nor services matter. The outbox keeps
    the changes of all other objects.

    Args:
        index: the index.
        compare: whether to look at all objects that are indexed; by default, only at those in
            the outbox.
    """
    collections = list(live_collections(index.name))
    if not collections:
        return 0
    expand(index)
    batches = slices(gone_keys(index), _SLICE) if compare else _gone_from_outbox(index)
    count = 0
    for some in batches:
        changes = object_changes(index.name).filter(object_key__in=some)
        gone = {key: PreparedObject() for key in some}
        with suppress(Superseded):  # another process writes the same changes
            written = write(collections, gone, {}, list(changes.values_list("pk", flat=True)))
            count += len(some)
            if written.deleted:
                notify("index_updated", index=index, upserted=[], deleted=written.deleted)
    return count


def gone_keys(index: IndexDeclaration) -> list[str]:
    """Return the keys of all objects that are indexed, and that nobody may find any more."""
    batches = gone_batches(index, live_collections(index.name))
    return [key for some in batches for key in some]


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
