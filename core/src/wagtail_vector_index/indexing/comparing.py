"""Compares source objects with the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..content.declaration import IndexDeclaration
from ..contract.slices import slices
from ..models.tables import Collection
from .batches import live_documents
from .fetching import fetch_to_prepare
from .preparing import prepare, source_hash
from .progress import Progress

BATCH_SIZE = 500


def changed_keys(
    index: IndexDeclaration, collections: Sequence[Collection], progress: Progress
) -> list[str]:
    """The keys of objects whose documents, in any of the collections, are not up to date.

    An object counts as up to date if its `source_hash` is the one it was indexed with.
    """
    keys = index.source_keys()
    recorded = {collection: _recorded(collection) for collection in collections}
    changed = {key: None for known in recorded.values() for key in known.keys() - set(keys)}
    if any(not known for known in recorded.values()):
        # There is a collection to fill: no need to look which objects it lacks.
        return [*changed, *keys]
    progress.started(index.name, "comparing", len(keys))
    for some in slices(keys, BATCH_SIZE):
        for key, instance in fetch_to_prepare(index, some).items():
            if _differs(index, key, instance, recorded):
                changed[key] = None
        progress.indexed(len(some))
    return list(changed)


def _recorded(collection: Collection) -> dict[str, str]:
    documents = live_documents(collection).order_by()
    return dict(documents.values_list("object_key", "source_hash").iterator())


def _differs(
    index: IndexDeclaration,
    key: str,
    instance: Any,
    recorded: Mapping[Collection, Mapping[str, str]],
) -> bool:
    try:
        current = source_hash(index, instance)
        known = {hashes.get(key) for hashes in recorded.values()}
        if known == {None}:
            # Not indexed: either new, or without any text.
            return bool(prepare(index, instance).documents)
    except Exception:  # noqa: BLE001  # the drain meets the same error again, and keeps it with the object
        return True
    return known != {current}
