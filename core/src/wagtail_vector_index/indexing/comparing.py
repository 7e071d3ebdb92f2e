"""Compares source objects with the index tables."""

from __future__ import annotations

import gc
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any

from ..content.declaration import IndexDeclaration
from ..content.language import language_of, reading_in
from ..contract.slices import slices
from ..models.tables import Collection
from ..plugins.calling import DocumentHooks
from .batches import live_documents, object_keys
from .fetching import fetch_to_prepare
from .preparing import prepare_source, read
from .progress import Progress

BATCH_SIZE = 500
# How many more objects are made than freed before the garbage collector starts.
_COLLECTION_THRESHOLD = 50_000


def changed_keys(
    index: IndexDeclaration, collections: Sequence[Collection], progress: Progress
) -> list[str]:
    """Return the keys of objects whose documents are out of date in any of the collections."""
    return [key for some in changed_batches(index, collections, progress) for key in some]


def changed_batches(
    index: IndexDeclaration, collections: Sequence[Collection], progress: Progress
) -> Iterator[list[str]]:
    """Yield the keys of objects whose documents are out of date in any of the collections.

    An object is up to date if what would be embedded of it now is what was embedded. Its texts
    are read, since the fields and blocks that they come from do not show every change: the code
    may exclude a block, and an object that a text names may have another name.

    Neither all keys nor all hashes are ever in memory, so that it does not grow with the index.
    """
    if not all(live_documents(collection).exists() for collection in collections):
        # A collection is empty, so it lacks all objects, and there is nothing to compare.
        for keys in index.source_batches():
            yield keys
            progress.pushed(0)  # others see that this process is at work
        yield from gone_batches(index, collections)
        return
    progress.started(index.name, "comparing", sum(map(len, index.source_batches())))
    hooks = DocumentHooks.active()
    checksums = dict.fromkeys(collections, 0)
    with _fewer_collections():
        for keys in index.source_batches():
            changed: list[str] = []
            for some in slices(keys, BATCH_SIZE):
                recorded = {each: _recorded(each, some) for each in collections}
                for collection, hashes in recorded.items():
                    checksums[collection] ^= _checksum(hashes)
                instances = fetch_to_prepare(index, some)
                differs = partial(_differs, index, recorded=recorded, hooks=hooks)
                for language, group in _by_language(instances).items():
                    changed += _changed_among(group, language, differs)
                progress.indexed(len(some))
            if changed:
                yield changed
    # Usually, the collections have no other objects, and the keys alone show it.
    differing = [each for each in collections if _checksum_of(each) != checksums[each]]
    yield from gone_batches(index, differing)


def gone_batches(index: IndexDeclaration, collections: Iterable[Collection]) -> Iterator[list[str]]:
    """Yield the keys of objects in these collections that are no longer to be indexed."""
    earlier: list[Collection] = []
    for collection in collections:
        for keys in object_keys(collection):
            visible = index.sources_among(keys)
            gone = [key for key in keys if key not in visible]
            for some in slices(gone, BATCH_SIZE):
                known = {key for other in earlier for key in _recorded(other, some)}
                if new := [key for key in some if key not in known]:
                    yield new
        earlier.append(collection)


def _checksum_of(collection: Collection) -> int:
    return reduce(operator.xor, map(_checksum, object_keys(collection)), 0)


def _checksum(keys: Iterable[str]) -> int:
    """Return a number that is different, almost surely, for other keys, in whatever order."""
    return reduce(operator.xor, map(hash, keys), 0)


def _by_language(instances: Mapping[str, Any]) -> dict[str | None, dict[str, Any]]:
    """Return objects by the language in which they are read, or None if that is not known."""
    groups: dict[str | None, dict[str, Any]] = defaultdict(dict)
    for key, instance in instances.items():
        try:
            language = language_of(instance)
        except Exception:  # noqa: BLE001  # there is no locale; the drain stores the error
            language = None
        groups[language][key] = instance
    return groups


def _changed_among(
    group: Mapping[str, Any], language: str | None, differs: Callable[[str, Any], bool]
) -> list[str]:
    """Return the keys of the objects of one language that differ.

    The language is activated for all of them together. To look for each object whether it is
    active would take a tenth of the time of the whole update.
    """
    if language is None:
        return list(group)
    with reading_in(language) as is_still_active:
        changed = [key for key, instance in group.items() if differs(key, instance)]
        if len(group) == 1 or is_still_active():
            return changed
    # A method of an object has left another language active, in which others were then read.
    alone = ({key: instance} for key, instance in group.items())
    return [key for one in alone for key in _changed_among(one, language, differs)]


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


def _recorded(collection: Collection, keys: Sequence[str]) -> dict[str, str]:
    """Return the source hashes of those of the objects that have live documents, by key."""
    documents = live_documents(collection).filter(object_key__in=keys).order_by()
    return dict(documents.values_list("object_key", "source_hash"))


def _differs(
    index: IndexDeclaration,
    key: str,
    instance: Any,
    recorded: Mapping[Collection, Mapping[str, str]],
    hooks: DocumentHooks,
) -> bool:
    try:
        source = read(index, instance)
        known = {hashes.get(key) for hashes in recorded.values()}
        if known == {None}:
            # The object is not indexed, because it is new or has no text.
            return bool(prepare_source(index, source, hooks).documents)
    except Exception:  # noqa: BLE001  # the drain meets the same error, and stores it
        return True
    return known != {source.hash_with(hooks.plugins)}
