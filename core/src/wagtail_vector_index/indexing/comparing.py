"""Compares source objects with the index tables."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..content.declaration import IndexDeclaration
from ..content.language import reading_together
from ..contract.slices import slices
from ..models.sessions import streamed
from ..models.tables import Collection
from ..plugins.calling import document_plugins
from .batches import live_documents
from .fetching import fetch_to_prepare
from .preparing import prepare_source, read
from .progress import Progress

BATCH_SIZE = 500
# How many more objects are made than freed before the garbage collector starts.
_COLLECTION_THRESHOLD = 50_000


def changed_keys(
    index: IndexDeclaration, collections: Sequence[Collection], progress: Progress
) -> list[str]:
    """Return the keys of objects whose documents are out of date in any of the collections.

    An object is up to date if what would be embedded of it now is what was embedded. Its texts
    are read, since the fields and blocks that they come from do not show every change: the code
    may exclude a block, and an object that a text names may have another name.
    """
    keys = index.source_keys()
    recorded = {collection: _recorded(collection) for collection in collections}
    changed = {key: None for known in recorded.values() for key in known.keys() - set(keys)}
    if any(not known for known in recorded.values()):
        # A collection is empty, so it lacks all objects, and there is nothing to compare.
        return [*changed, *keys]
    progress.started(index.name, "comparing", len(keys))
    plugins = document_plugins()
    with _fewer_collections():
        for some in slices(keys, BATCH_SIZE):
            instances = fetch_to_prepare(index, some)
            with reading_together(instances.values()):
                for key, instance in instances.items():
                    if _differs(index, key, instance, recorded, plugins):
                        changed[key] = None
            progress.indexed(len(some))
    return list(changed)


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Let Python's garbage collector start less often, for as long as many objects are read.

    A batch of pages holds a hundred thousand objects, and nearly none of them is garbage before
    the batch ends. The collector's search among them takes a third of the whole time.
    """
    threshold, *others = gc.get_threshold()
    if not 0 < threshold < _COLLECTION_THRESHOLD:
        yield  # 0 turns it off; or another thread compares too, and sets the threshold back
        return
    gc.set_threshold(_COLLECTION_THRESHOLD, *others)
    try:
        yield
    finally:
        gc.set_threshold(threshold, *others)


def _recorded(collection: Collection) -> dict[str, str]:
    documents = live_documents(collection).order_by()
    with streamed(documents.values_list("object_key", "source_hash")) as hashes:
        return dict(hashes)


def _differs(
    index: IndexDeclaration,
    key: str,
    instance: Any,
    recorded: Mapping[Collection, Mapping[str, str]],
    plugins: Sequence[str],
) -> bool:
    try:
        source = read(index, instance)
        known = {hashes.get(key) for hashes in recorded.values()}
        if known == {None}:
            # The object is not indexed, because it is new or has no text.
            return bool(prepare_source(index, source).documents)
    except Exception:  # noqa: BLE001  # the drain meets the same error, and stores it
        return True
    return known != {source.hash_with(plugins)}
