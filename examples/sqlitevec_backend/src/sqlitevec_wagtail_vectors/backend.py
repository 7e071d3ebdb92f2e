"""The sqlite-vec backend, which keeps its collections in one SQLite file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import sqlite_vec
from django.conf import settings
from django.core.checks import CheckMessage, Error

from wagtail_vector_index.backends.base import CollectionSpec, Match, RecordBatch, VectorBackend
from wagtail_vector_index.contract import MAX_INT, MAX_TIMEOUT, FileConnections, FilterNode
from wagtail_vector_index.contract.arrays import matrix, stored, stored_query
from wagtail_vector_index.contract.rescoring import nearest
from wagtail_vector_index.contract.sql import column_of, where
from wagtail_vector_index.contract.sqlite import column_values, compare
from wagtail_vector_index.exceptions import BackendRefused, BackendUnavailable

#: What may pass without the site's doing: another process writes, or the disk is full or away.
PASSING = (apsw.BusyError, apsw.CantOpenError, apsw.FullError, apsw.IOError, apsw.LockedError)


class SqliteVecBackend(VectorBackend):
    """Searches exactly by sqlite-vec, in the file ``PATH``, which all processes share.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "sqlitevec", "PATH": "/var/lib/site/vectors.sqlite3"},
        }
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        """``PATH`` is the whole path of the file, ``TIMEOUT`` the seconds to wait for a lock."""

        path: str
        timeout: int = 30

        def __post_init__(self) -> None:
            if not Path(self.path).is_absolute():
                raise ValueError("'PATH' must be the whole path of a file, from its root.")
            if not 0 <= self.timeout <= MAX_TIMEOUT:
                raise ValueError(f"'TIMEOUT' must be from 0 to {MAX_TIMEOUT}, not {self.timeout}.")

    metrics = frozenset({"cosine", "euclidean"})
    longest_vector = 1e18

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self._connections = FileConnections(options.path, self._connect)

    def close(self) -> None:
        """Close the connections to the file."""
        self._connections.close()

    def check(self) -> list[CheckMessage]:
        """Return an error if the folder does not exist, or the file is a database of the site."""
        path = Path(self.options.path).resolve()
        messages: list[CheckMessage] = []
        hint = "Set PATH to a file of its own, in a folder that exists."
        if not path.parent.is_dir():
            problem = f"{self!r}: there is no folder {path.parent}."
            messages.append(Error(problem, hint=hint, id="sqlitevec.E001"))
        # Two builds of SQLite in a process release each other's locks, which destroys the file.
        names = [str(database.get("NAME", "")) for database in settings.DATABASES.values()]
        if path in [Path(name).resolve() for name in names]:
            problem = f"{self!r}: {path} is a database of the site, and would be destroyed."
            messages.append(Error(problem, hint=hint, id="sqlitevec.E002"))
        return messages

    def _create(self, spec: CollectionSpec) -> None:
        # Without types, so that SQLite converts no value. It keeps the text, and so the shape.
        columns = f'{", ".join(_columns(spec))}, PRIMARY KEY ("id") /* {spec.shape} */'
        with self._transaction("IMMEDIATE") as db:
            if (existing := _shape_in(db, spec)) is None:
                db.execute(f"CREATE TABLE {_table(spec)} ({columns})")
            elif existing != spec.shape:
                raise self._shape_error(spec, existing)

    def _drop(self, spec: CollectionSpec) -> None:
        with self._transaction("IMMEDIATE") as db:
            db.execute(f"DROP TABLE IF EXISTS {_table(spec)}")

    def _collections(self) -> list[str]:
        select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'records_*'"
        with self._transaction() as db:
            return [name.removeprefix("records_") for (name,) in db.execute(select)]

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        vectors, values = stored(matrix(batch), spec.metric), column_values(spec, batch)
        records = zip(batch.uuids, values, vectors, batch.metadata, strict=True)
        rows = [(id.bytes, *given, v.tobytes(), text) for id, given, v, text in records]
        names, places = ", ".join(_columns(spec)), ", ".join("?" * len(_columns(spec)))
        with self._transaction("IMMEDIATE", spec) as db:
            insert = f"INSERT OR REPLACE INTO {_table(spec)} ({names}) VALUES ({places})"
            db.executemany(insert, rows)

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        with self._transaction("IMMEDIATE", spec) as db:
            db.executemany(f'DELETE FROM {_table(spec)} WHERE "id" = ?', [[id.bytes] for id in ids])

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        condition, parameters = where(filter, compare)
        query = stored_query(vector, spec.metric)
        function = "l2" if spec.metric == "euclidean" else "cosine"
        order = f'ORDER BY vec_distance_{function}("vector", ?), "id" LIMIT ?'
        # Sorting the vectors instead of their ids would take several times as long.
        ids = f'SELECT "id" FROM {_table(spec)} WHERE {condition} {order}'

        def find(count: int) -> RecordBatch:
            given = [*parameters, query.tobytes(), min(count, MAX_INT)]
            return self._batch(spec, f'WHERE "id" IN ({ids})', given)

        return nearest(find, query, limit, spec.metric)

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        condition, parameters = where(filter, compare)
        return int(self._rows(spec, "count(*)", f"WHERE {condition}", parameters)[0][0])

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        places = ", ".join("?" * len(ids))
        return self._batch(spec, f'WHERE "id" IN ({places})', [id.bytes for id in ids])

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        last, rest = b"", 'WHERE "id" > ? ORDER BY "id" LIMIT ?'
        while batch := self._batch(spec, rest, [last, min(batch_size, MAX_INT)]):
            yield batch
            last = batch.uuids[-1].bytes

    def _batch(self, spec: CollectionSpec, rest: str, parameters: list[Any]) -> RecordBatch:
        rows = self._rows(spec, '"id", "vector", "metadata"', rest, parameters)
        return RecordBatch.from_rows(rows, spec.dimensions)

    def _rows(self, spec: CollectionSpec, columns: str, rest: str, given: list[Any]) -> list[Any]:
        with self._transaction(spec=spec) as db:
            return [*db.execute(f"SELECT {columns} FROM {_table(spec)} {rest}", given)]

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(self.options.path)
        db.set_busy_timeout(1_000 * self.options.timeout)
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1)
        db.load_extension(sqlite_vec.loadable_path())
        return db

    @contextmanager
    def _transaction(self, mode: str = "", spec: CollectionSpec | None = None) -> Iterator[Any]:
        try:
            with self._connections.lent() as db:
                db.execute(f"BEGIN {mode}")
                if spec and (existing := _shape_in(db, spec)) != spec.shape:
                    raise self._shape_error(spec, existing)
                yield db
                db.execute("COMMIT")  # closing the connection undoes what failed before this
        except apsw.Error as error:
            kind = BackendUnavailable if isinstance(error, PASSING) else BackendRefused
            raise kind(f"{self!r} cannot use {self.options.path}: {error}") from error


def _table(spec: CollectionSpec) -> str:
    return f'"records_{spec.name}"'


def _columns(spec: CollectionSpec) -> list[str]:
    # The fields come first: SQLite reads a row only up to the last column that it needs.
    return ['"id"', *map(column_of, spec.fields), '"vector"', '"metadata"']


def _shape_in(db: apsw.Connection, spec: CollectionSpec) -> str | None:
    """Return the shape that a collection was created with, or None if there is none."""
    select = "SELECT sql FROM sqlite_schema WHERE name = ?"
    row = db.execute(select, (f"records_{spec.name}",)).fetchone()
    return row and row[0].partition("/* ")[2].removesuffix(" */)")
