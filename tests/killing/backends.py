"""A vector backend that keeps its records in files, and embeddings that are logged."""

import json
import os
import sqlite3
from array import array
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tests.serving import append_line
from tests.testapp.embeddings import WordEmbeddings
from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract.records import Record
from wagtail_vector_index.exceptions import CollectionNotFound
from wagtail_vector_index.testing.oracle import OracleBackend, StoredCollection


class LoggedEmbeddings(WordEmbeddings):
    """Writes every text it is asked to embed into a file, before it answers."""

    @dataclass(frozen=True, kw_only=True)
    class Options(WordEmbeddings.Options):
        log: str

    def embed(self, texts):
        append_line(self.options.log, event="embed", process=os.getpid(), texts=list(texts))
        return super().embed(texts)


class FolderBackend(OracleBackend):
    """Persistent: a file of SQLite for each collection, each write a transaction."""

    persistent = True

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        folder: str

    def _path(self, spec):
        return Path(self.options.folder, f"{spec.name}.sqlite3")

    @contextmanager
    def _opened(self, spec):
        path = self._path(spec)
        if not path.exists():
            raise CollectionNotFound(f"{self!r} has no collection {spec.name!r}.")
        with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            yield connection

    def _create(self, spec):
        path = self._path(spec)
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, vector BLOB, data TEXT)"
            )

    def _drop(self, spec):
        self._path(spec).unlink(missing_ok=True)

    def _collections(self):
        return [path.stem for path in Path(self.options.folder).glob("*.sqlite3")]

    def _records(self, spec):
        with self._opened(spec) as connection:
            rows = connection.execute("SELECT id, vector, data FROM records").fetchall()
        return [
            Record(id=UUID(id), vector=tuple(array("f", vector)), metadata=json.loads(data))
            for id, vector, data in rows
        ]

    def _collection(self, spec):
        return StoredCollection(spec, {record.id: record for record in self._records(spec)})

    def _upsert(self, spec, batch):
        rows = [
            (str(record.id), array("f", record.vector).tobytes(), json.dumps(record.metadata))
            for record in batch
        ]
        with self._opened(spec) as connection:
            connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)

    def _delete(self, spec, ids):
        with self._opened(spec) as connection:
            connection.executemany("DELETE FROM records WHERE id = ?", [(str(id),) for id in ids])
