"""The documents that a search found, as far as they are still live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import F, Q
from django.db.models.lookups import In

from ..content.labels import without_labels
from ..contract.slices import slices
from ..exceptions import CollectionNotFound
from ..models.tables import Collection, Document

__all__ = ["LiveChunk", "chunk_texts", "live_chunks"]

_LOOKUP_SIZE = 5_000

#: If more chunks than this are looked up at once, their texts are not read. Few are shown.
_MOST_TEXTS = 200

#: So many ids that the lookup of the index tables makes one parameter of them.
_SEVERAL = [UUID(int=number) for number in range(3)]

#: A live document of one of these states can be found.
_SEARCHED = (Collection.State.BUILDING, Collection.State.ACTIVE)


@dataclass(slots=True)
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


def live_chunks(collection: Collection, ids: Sequence[UUID]) -> dict[UUID, LiveChunk]:
    """Return the documents, among these, that are still live.

    The query filters by primary key alone. With more conditions, SQLite would choose to read
    every document of the collection.

    Raises:
        CollectionNotFound: another collection has replaced this one, and gets its changes.
    """
    found: dict[UUID, LiveChunk] = {}
    asked = {id.hex: id for id in ids}
    for some in slices(list(asked.values()), _LOOKUP_SIZE):
        for pk, owner, state, deleted_at, *values in _rows(some):
            if owner != collection.pk:
                continue
            if state not in _SEARCHED:
                raise CollectionNotFound(f"{collection} was replaced a moment ago.")
            if deleted_at is None:
                found[asked[_hex(pk)]] = LiveChunk(*values)
    return found


def chunk_texts(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the texts that excerpts are cut from, by the ids of the documents."""
    rows = Document.objects.filter(pk__in=ids)
    return {
        pk: without_labels(content, lines)
        for pk, content, lines in rows.values_list("pk", "content", "label_lines")
    }


def _rows(ids: Sequence[UUID]) -> Iterable[Sequence[Any]]:
    """Return the rows of documents as the database has them.

    Every search asks for about a hundred. To compile the query and to make objects of all values
    would take several times as long as the query.
    """
    using = Document.objects.all().db
    connection = connections[using]
    count: int | None
    if connection.vendor == "postgresql":
        # One parameter, an array as text: psycopg takes as long for a hundred as the server does.
        count, stored = None, [f"{{{','.join(id.hex for id in ids)}}}"]
    else:
        prepared = Document._meta.pk.get_db_prep_value
        count, stored = len(ids), [prepared(id, connection) for id in ids]
    with connection.cursor() as cursor:
        cursor.execute(_statement(using, count, with_texts=len(ids) <= _MOST_TEXTS), stored)
        rows: list[Sequence[Any]] = cursor.fetchall()
    return rows


@lru_cache(maxsize=32)
def _statement(using: str, count: int | None, *, with_texts: bool) -> str:
    """Return the SQL that asks for documents by their ids.

    Args:
        using: the alias of the database.
        count: the number of ids, each of which is a parameter. With None, all are one parameter.
        with_texts: whether to read the texts.
    """
    columns = ["pk", "collection_id", "collection__state", "deleted_at", "object_key", "position"]
    if with_texts:
        columns += ["content", "label_lines"]
    if count is None:
        chosen: Any = Q(pk__in=_SEVERAL)  # `InOneParameter`
    else:
        chosen = In(F("pk"), [UUID(int=number) for number in range(count)])
    documents = Document.objects.using(using).filter(chosen).values_list(*columns)
    statement: str = documents.query.get_compiler(using).as_sql()[0]
    return statement


def _hex(stored: Any) -> str:
    """Return an id as 32 digits. Databases with a type of its own return a UUID, or hyphens."""
    return stored.hex if isinstance(stored, UUID) else stored.replace("-", "")
