"""The collection that serves a search, and its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ..backends.base import VectorBackend
from ..content.declaration import IndexDeclaration
from ..content.labels import without_labels
from ..contract.slices import slices
from ..embeddings.base import assumed_dimensions
from ..exceptions import CollectionNotFound, IndexNotBuilt, IndexOutdated, UnknownAlias
from ..indexing.plan import Plan
from ..models.tables import Collection, Document
from ..plugins.handlers import vector_backends

__all__ = [
    "LiveChunk",
    "active_collection",
    "check_current",
    "chunk_texts",
    "live_chunks",
    "lost",
    "serving_backend",
]

_LOOKUP_SIZE = 5_000

#: If more chunks than this are looked up at once, their texts are not read. Few are shown.
_MOST_TEXTS = 200


@dataclass(frozen=True, slots=True)
class LiveChunk:
    """A document that a search found: the key of its object, its position, and its text.

    The text is None if it was not read, and still has its labels.
    """

    key: str
    position: int
    content: str | None = None
    label_lines: str = ""

    @property
    def text(self) -> str | None:
        """The text that excerpts are cut from, or None if it was not read."""
        if self.content is None:
            return None
        return without_labels(self.content, self.label_lines)


def active_collection(index: IndexDeclaration) -> Collection:
    """Return the collection that serves an index.

    Raises:
        IndexNotBuilt: the index has no such collection yet.
    """
    # Not get(), which asks for more rows than the one that a constraint allows.
    for collection in Collection.objects.filter(index=index.name, state=Collection.State.ACTIVE):
        return collection  # type: ignore[no-any-return]
    raise IndexNotBuilt(
        f"{index.name} is not built yet. Run: manage.py update_vector_indexes {index.name}"
    )


def serving_backend(index: IndexDeclaration, collection: Collection) -> VectorBackend:
    """Return the vector backend that holds a collection of the index.

    Raises:
        UnknownAlias: the settings no longer have the backend; the message says what to run.
    """
    try:
        return vector_backends[collection.vector_backend]
    except UnknownAlias as error:
        if collection.vector_backend == index.vector_backend:
            raise
        raise UnknownAlias(
            f"{error} {index.name} is still stored there. To build it in"
            f" {index.vector_backend!r}, run: manage.py update_vector_indexes {index.name}"
        ) from error


def check_current(
    index: IndexDeclaration, collection: Collection, dimensions: int | None = None
) -> None:
    """Raise IndexOutdated if a collection was built with other settings than the index's.

    Otherwise, a search would compare vectors of different models, or chunks of different sizes.

    Args:
        index: the index that is searched.
        collection: the collection that serves it.
        dimensions: the size of the vectors where only the embedding service knows it; by default
            that of the collection, so that a search does not ask.
    """
    with assumed_dimensions(lambda: dimensions or collection.dimensions):
        differences = Plan.of(index).differences(collection)
    if differences:
        raise IndexOutdated(
            f"{index.name} was built with other settings: {'; '.join(differences)}."
            f" Run: manage.py update_vector_indexes {index.name}"
        )


def lost(index: IndexDeclaration, error: CollectionNotFound) -> CollectionNotFound:
    """Return the error of a search if the vector backend has lost the index's collection."""
    return CollectionNotFound(
        f"{error} To fill the index again, run: manage.py update_vector_indexes {index.name}"
    )


def live_chunks(collection: Collection, ids: Sequence[UUID]) -> dict[UUID, LiveChunk]:
    """Return the documents, among these, that are still live.

    The query filters by primary key alone. With more conditions, SQLite would choose to read
    every document of the collection.

    Raises:
        CollectionNotFound: another collection has replaced this one, and gets its changes.
    """
    found: dict[UUID, LiveChunk] = {}
    own = collection.pk
    columns = ["object_key", "position"]
    if len(ids) <= _MOST_TEXTS:
        columns += ["content", "label_lines"]
    for some in slices(ids, _LOOKUP_SIZE):
        rows = Document.objects.filter(pk__in=some)
        for pk, owner, state, deleted_at, *values in rows.values_list(
            "pk", "collection_id", "collection__state", "deleted_at", *columns
        ):
            if owner != own:
                continue
            if state not in (Collection.State.BUILDING, Collection.State.ACTIVE):
                raise CollectionNotFound(f"{collection} was replaced a moment ago.")
            if deleted_at is None:
                found[pk] = LiveChunk(*values)
    return found


def chunk_texts(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the texts that excerpts are cut from, by the ids of the documents."""
    rows = Document.objects.filter(pk__in=ids)
    return {
        pk: without_labels(content, lines)
        for pk, content, lines in rows.values_list("pk", "content", "label_lines")
    }
