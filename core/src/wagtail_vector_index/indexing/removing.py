"""Removes objects that nobody may find any more, without the help of an embedding service."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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
    waiting = _waiting(index)
    keys = gone_keys(index) if compare else _gone_among(index, waiting)
    count = 0
    for some in slices(keys, _SLICE):
        changes = [pk for key in some for pk in waiting.get(key, ())]
        gone = {key: PreparedObject() for key in some}
        with suppress(Superseded):  # another process writes the same changes
            written = write(collections, gone, {}, changes)
            count += len(some)
            if written.deleted:
                notify("index_updated", index=index, upserted=[], deleted=written.deleted)
    return count


def gone_keys(index: IndexDeclaration) -> list[str]:
    """Return the keys of all objects that are indexed, and that nobody may find any more."""
    batches = gone_batches(index, live_collections(index.name))
    return [key for some in batches for key in some]


def _waiting(index: IndexDeclaration) -> dict[str, list[int]]:
    """Return the rows of the outbox that stand for one object, by its key."""
    rows = object_changes(index.name)
    found: dict[str, list[int]] = defaultdict(list)
    for pk, key in rows.values_list("pk", "object_key"):
        found[key].append(pk)
    return found


def _gone_among(index: IndexDeclaration, keys: Iterable[str]) -> list[str]:
    gone: list[str] = []
    for some in slices(list(keys), _SLICE):
        visible = index.sources_among(some)
        gone += [key for key in some if key not in visible]
    return gone
