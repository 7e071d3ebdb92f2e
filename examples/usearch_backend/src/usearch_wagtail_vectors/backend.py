"""The backend: all that Wagtail Vector Index asks for, over one SQLite file.

Plain and exact: a search looks at every record. Replace it method by method by what
your database does, and let the tests tell what is missing.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.checks import CheckMessage, Error
from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)
from wagtail_vector_index.filters import FilterNode

from .filtering import matches
from .scoring import SCORES

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS collections
    (name TEXT PRIMARY KEY, shape TEXT NOT NULL)
    """,
    """
    CREATE TABLE IF NOT EXISTS records
    (collection TEXT, id BLOB, vector BLOB NOT NULL, metadata TEXT NOT NULL,
    PRIMARY KEY (collection, id))
    """,
)


class UsearchBackend(VectorBackend):
    """Keeps collections in the file ``PATH``, for all processes of a machine.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "usearch", "PATH": "/var/lib/site/vectors.sqlite3"},
        }
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        """``PATH`` is the file; ``TIMEOUT`` how many seconds to wait for a lock."""

        path: str
        timeout: float = 30.0

    # SQLite takes so many parameters in one statement, whatever its version.
    max_batch_records = 900

    def check(self) -> list[CheckMessage]:
        """Whether the folder of the file exists."""
        folder = Path(self.options.path).absolute().parent
        if folder.is_dir():
            return []
        return [
            Error(
                f"{self!r}: there is no folder {folder}.",
                hint="Make the folder, or correct PATH.",
                id="usearch.E001",
            )
        ]

    def _create(self, spec: CollectionSpec) -> None:
        with self._transaction("IMMEDIATE") as db:
            insert = "INSERT OR IGNORE INTO collections VALUES (?, ?)"
            db.execute(insert, (spec.name, _shape(spec)))
            existing = self._existing_shape(db, spec)
        if existing != _shape(spec):
            raise CollectionMismatch(
                f"{self!r} has {spec.name!r} as {existing}, not as {_shape(spec)}."
            )

    def _drop(self, spec: CollectionSpec) -> None:
        with self._transaction("IMMEDIATE") as db:
            db.execute("DELETE FROM records WHERE collection = ?", (spec.name,))
            db.execute("DELETE FROM collections WHERE name = ?", (spec.name,))

    def _collections(self) -> list[str]:
        with self._transaction() as db:
            rows = db.execute("SELECT name FROM collections")
            return [name for (name,) in rows]

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        rows = [
            (spec.name, id.bytes, bytes(batch.vector(row)), batch.metadata[row])
            for row, id in enumerate(batch.uuids)
        ]
        # All or nothing. Where a part can be written, WriteFailed names the rest.
        with self._transaction("IMMEDIATE") as db:
            self._existing_shape(db, spec)
            insert = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)"
            db.executemany(insert, rows)

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        with self._transaction("IMMEDIATE") as db:
            self._existing_shape(db, spec)
            delete = "DELETE FROM records WHERE collection = ? AND id = ?"
            db.executemany(delete, [(spec.name, id.bytes) for id in ids])

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        # The base class drops what is below min_score; a database may do it itself.
        score, query = SCORES[spec.metric], vector.tolist()
        found = (
            Match(id=UUID(bytes=id), score=score(query, array("f", stored)))
            for id, stored, _ in self._matching(spec, filter)
        )
        return heapq.nsmallest(limit, found, key=lambda match: (-match.score, match.id))

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return len(self._matching(spec, filter))

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        where = f"id IN ({', '.join('?' * len(ids))})"
        return _batch(spec, self._rows(spec, where, [id.bytes for id in ids]))

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        last, where = b"", "id > ? ORDER BY id LIMIT ?"
        while rows := self._rows(spec, where, [last, batch_size]):
            yield _batch(spec, rows)
            last = rows[-1][0]

    def _matching(self, spec: CollectionSpec, filter: FilterNode | None) -> list[Any]:
        rows = self._rows(spec)
        if filter is None:
            return rows
        return [row for row in rows if matches(filter, json.loads(row[2]))]

    def _rows(
        self, spec: CollectionSpec, where: str = "1", parameters: Iterable[Any] = ()
    ) -> list[Any]:
        select = "SELECT id, vector, metadata FROM records WHERE collection = ? AND "
        with self._transaction() as db:
            self._existing_shape(db, spec)
            return db.execute(select + where, (spec.name, *parameters)).fetchall()

    def _existing_shape(self, db: sqlite3.Connection, spec: CollectionSpec) -> str:
        select = "SELECT shape FROM collections WHERE name = ?"
        row = db.execute(select, (spec.name,)).fetchone()
        if row is None:
            raise CollectionNotFound(f"{self!r} has no collection {spec.name!r}.")
        return str(row[0])

    @contextmanager
    def _transaction(self, mode: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        # A connection for each call: nothing is shared by threads, nor with a fork.
        # For a client that is kept, see wagtail_vector_index.clients.Clients.
        options = self.options
        connect = partial(sqlite3.connect, isolation_level=None)
        try:
            with closing(connect(options.path, options.timeout)) as db:
                for statement in TABLES:
                    db.execute(statement)
                with db:
                    db.execute(f"BEGIN {mode}")
                    yield db
        except sqlite3.Error as error:
            raise BackendUnavailable(
                f"{self!r} cannot use {options.path}: {error}."
            ) from error


def _shape(spec: CollectionSpec) -> str:
    return json.dumps([spec.dimensions, spec.metric, sorted(spec.fields.items())])


def _batch(spec: CollectionSpec, rows: Sequence[Any]) -> RecordBatch:
    return RecordBatch(
        ids=b"".join(id for id, _, _ in rows),
        vectors=b"".join(vector for _, vector, _ in rows),
        metadata=[text for _, _, text in rows],
        dimensions=spec.dimensions,
    )
