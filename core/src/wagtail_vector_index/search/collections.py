"""The collection that serves a search."""

from __future__ import annotations

from functools import lru_cache

from ..backends.base import VectorBackend
from ..content.declaration import IndexDeclaration
from ..exceptions import CollectionNotFound, IndexNotBuilt, IndexOutdated, UnknownAlias
from ..indexing.plan import outdated_by
from ..models.tables import Collection, index_database
from ..models.tenants import needing_tables
from ..plugins.handlers import vector_backends

__all__ = [
    "active_collection",
    "check_built_with",
    "check_current",
    "lost",
    "serving_backend",
]


def active_collection(index: IndexDeclaration) -> Collection:
    """Return the collection that serves an index.

    Raises:
        IndexNotBuilt: the index has no such collection yet, or there are no index tables.
    """
    statement = _statement(index_database())
    wanted = index.name, Collection.State.ACTIVE.value
    with needing_tables():
        found = list(Collection.objects.raw(statement, wanted))
    if found:
        return found[0]  # type: ignore[no-any-return]
    raise IndexNotBuilt(
        f"{index.name} is not built yet. Run: manage.py update_vector_indexes {index.name}"
    )


@lru_cache(maxsize=16)
def _statement(using: str) -> str:
    """Return the SQL that reads a collection by the name of its index and by its state.

    Every search reads one. To compile the query takes as long as to run it.
    """
    rows = Collection.objects.filter(index="", state="")
    statement: str = rows.query.get_compiler(using).as_sql()[0]
    return statement


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
    if differences := outdated_by(index, collection, dimensions):
        raise IndexOutdated(
            f"{index.name} was built with other settings: {'; '.join(differences)}."
            f" Run: manage.py update_vector_indexes {index.name}"
        )


def check_built_with(index: IndexDeclaration, collection: Collection, field: str) -> None:
    """Raise IndexOutdated if a filter field was declared after a collection was built."""
    fields = collection.spec.fields
    if field not in fields:
        raise IndexOutdated(
            f"{index.name} was built with other filter fields: {', '.join(fields)}, without"
            f" {field!r}. Run: manage.py update_vector_indexes {index.name}"
        )


def lost(index: IndexDeclaration, error: CollectionNotFound) -> CollectionNotFound:
    """Return the error of a search if the vector backend has lost the index's collection."""
    return CollectionNotFound(
        f"{error} To fill the index again, run: manage.py update_vector_indexes {index.name}"
    )
