"""The PostgreSQL backend: collections are tables in a database from ``DATABASES``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.core.checks import CheckMessage, Error

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Health,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import EXACT, FACTS, ExactMatches, FilterNode, Setting
from wagtail_vector_index.contract.arrays import first_invalid, matrix, scores, stored_query
from wagtail_vector_index.contract.rescoring import nearest
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionNotFound,
    WriteFailed,
)

from . import indexing, planning, searching, tables
from .copying import columns, in_order, keys_of, rows_of
from .database import Cursor, Database, database_problem
from .errors import READ_ONLY
from .filtering import where
from .options import PgvectorOptions, Precision
from .tables import table_name
from .vectors import decoded, literal

__all__ = ["PgvectorBackend"]

logger = logging.getLogger(__name__)

#: How many matches more than the limit are requested from an index, to detect equal scores.
BEYOND = 16

#: The largest value of a LIMIT.
MOST_ROWS = 2**63 - 1

#: How many rows one statement adds to an index of vectors. Some servers add no more than fifty
#: rows a second, and each statement must end before the timeout of the options.
ROWS_INTO_INDEX = 20

STATE = "SELECT current_setting('server_version'), current_setting('transaction_read_only')"


class PgvectorBackend(VectorBackend):
    """Stores each collection in a table of PostgreSQL, with typed columns for its fields.

    All statements go through Django's own connections, so they take part in the caller's
    transaction. A statement that fails leaves the transaction usable.
    """

    class Options(PgvectorOptions):
        """The keys in the settings other than ``BACKEND``."""

    max_batch_records = 10_000
    max_batch_bytes = 32 * 2**20
    longest_vector = 1e18
    thread_sensitive = True
    options: PgvectorOptions

    def __init__(self, alias: str, options: PgvectorOptions) -> None:
        super().__init__(alias, options)
        self.recall_advice = planning.advice(options)
        self._database = Database(options.database, options.timeout)

    @property
    def shared(self) -> bool:
        """Whether collections are in another database than the index tables."""
        from wagtail_vector_index.models import Collection

        return bool(self.options.database != Collection.objects.all().db)

    def check(self) -> list[CheckMessage]:
        """Return an error unless the database is PostgreSQL."""
        problem = database_problem(self.options.database)
        if not problem:
            return []
        return [
            Error(
                f"{self!r}: {problem}",
                hint="Set 'DATABASE' to a PostgreSQL alias of DATABASES.",
                id="wagtail_vector_index_pgvector.E001",
            )
        ]

    def health(self) -> Health:
        """Return the versions of server and extension, and the number of collections.

        A database that is read-only is not healthy: no change could be written to it.
        """
        extension = self._database.extension()
        names = self.collections()
        [(server, read_only)] = self._database.read(STATE)
        problem = f". {READ_ONLY}" if read_only == "on" else ""
        return Health(
            ok=not problem,
            message=f"PostgreSQL {server} with pgvector {extension.version}{problem}",
            details={
                "database": self.options.database,
                "postgresql": str(server),
                "pgvector": extension.version,
                "schema": extension.schema,
                "collections": str(len(names)),
            },
        )

    def close(self) -> None:
        """Close this thread's connection, unless it is in a transaction."""
        self._database.forget()

    def _create(self, spec: CollectionSpec) -> None:
        tables.create(self._database, spec)

    def _drop(self, spec: CollectionSpec) -> None:
        tables.drop(self._database, spec)

    def _collections(self) -> list[str]:
        return tables.names(self._database)

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        table, keys, order = table_name(spec), sorted(keys_of(batch)), in_order(batch)
        copy = f"COPY {table} ({columns(spec)}) FROM STDIN (FORMAT BINARY)"

        def work(cursor: Cursor) -> None:
            _delete(cursor, table, keys)
            step = ROWS_INTO_INDEX if indexing.is_there(cursor, spec) else len(batch)
            for start in range(0, len(batch), step):
                with cursor.copy(copy) as target:
                    for part in rows_of(spec, batch, order[start : start + step]):
                        target.write(part)

        try:
            # The lock lets only one writer in at a time. A transaction cannot see, and so cannot
            # replace, the rows that another transaction copies at the same time.
            self._database.write(work, collection=spec.name, lock=table)
        except BackendRefused as error:
            raise WriteFailed(str(error), batch.uuids) from error

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        table, keys = table_name(spec), sorted(id.bytes for id in ids)
        self._database.write(
            lambda cursor: _delete(cursor, table, keys), collection=spec.name, lock=table
        )

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        limit = min(limit, MOST_ROWS)
        end = time.monotonic() + (self.options.timeout if spec.timeout is None else spec.timeout)
        asked = stored_query(vector, spec.metric)
        precision = self._searched_by(spec, limit)
        if precision is not None and searching.can_be_asked(asked, precision):
            matches = self._approximate(spec.until(end), precision, asked, limit, filter)
            if matches is not None:
                return matches
        exact = partial(searching.exact, self._database.extension(), spec, filter, literal(asked))
        if limit > searching.MOST_RESCORED or searching.are_distances_accurate(spec):
            statement = exact(limit, has_distances=True)
            return ExactMatches(_matches(self._found(spec.until(end), statement, asked)))

        def find(count: int) -> RecordBatch:
            return self._candidates(spec.until(end), exact(count, has_distances=False))

        return ExactMatches(nearest(find, asked, limit, spec.metric))

    def _searched_by(self, spec: CollectionSpec, limit: int) -> Precision | None:
        """Return the precision of the index to search, or None for an exact search."""
        precision = searching.precision_of(spec, self.options)
        if precision is None or spec.setting == EXACT:
            return None
        candidates = (limit + BEYOND) * searching.OVERSAMPLING[precision]
        return precision if candidates <= searching.MOST_CANDIDATES else None

    def _approximate(
        self,
        spec: CollectionSpec,
        precision: Precision,
        asked: Any,
        limit: int,
        filter: FilterNode | None,
    ) -> list[Match] | None:
        """Return the matches from the index, or None if only an exact search can decide."""
        statement = searching.approximate(
            self._database.extension(),
            spec,
            self.options,
            precision,
            filter,
            literal(asked),
            limit + BEYOND,
        )
        found = self._found(spec, statement, asked)
        if len(found) < limit + BEYOND:
            return None
        found.sort()
        if found[limit - 1][0] == found[-1][0]:
            # More equal scores than requested: only the ones with the lowest ids may be returned.
            return None
        return _matches(found[:limit])

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        condition, parameters = where(filter)
        query = f"SELECT count(*) FROM {table_name(spec)} WHERE {condition}"
        [(count,)] = self._read(spec, query, parameters)
        return int(count)

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return self._batch(spec, '"id" = ANY(%s::uuid[])', [list(ids)])

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        after: UUID | None = None
        batch_size = min(batch_size, MOST_ROWS)
        while True:
            # No cursor on the server: it would keep a transaction open while the caller reads.
            condition = "TRUE" if after is None else '"id" > %s::uuid'
            parameters = [] if after is None else [after]
            batch = self._batch(spec, f'{condition} ORDER BY "id" LIMIT {batch_size}', parameters)
            if len(batch):
                yield batch
            if len(batch) < batch_size:
                return
            after = batch.uuids[-1]

    def _batch(self, spec: CollectionSpec, condition: str, parameters: list[Any]) -> RecordBatch:
        send = self._database.extension().named("vector_send")
        rows = self._read(
            spec,
            f'SELECT uuid_send("id"), {send}("embedding"), "metadata"::text'
            f" FROM {table_name(spec)} WHERE {condition}",
            parameters,
        )
        vectors = decoded([row[1] for row in rows], spec.dimensions)
        return RecordBatch(
            ids=b"".join([row[0] for row in rows]),
            vectors=vectors.reshape(-1).data,
            metadata=[row[2] for row in rows],
            dimensions=spec.dimensions,
        )

    def _optimize(self, spec: CollectionSpec) -> None:
        indexing.build(self._database, spec, self.options)
        indexing.vacuum(self._database, spec)

    def _search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        if searching.precision_of(spec, self.options) is None:
            return []
        lists = indexing.lists_of(self._database, spec)
        return searching.search_settings(spec, self.options, lists)

    def _wider_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        return [searching.widest_setting(spec, self.options)]

    def _reach(self, spec: CollectionSpec) -> int:
        precision = searching.precision_of(spec, self.options)
        oversampling = 1 if precision is None else searching.OVERSAMPLING[precision]
        return searching.MOST_CANDIDATES // oversampling - BEYOND

    def _sample(self, spec: CollectionSpec, count: int) -> RecordBatch:
        return self._batch(spec, f"TRUE ORDER BY random() LIMIT {count}", [])

    def _adapt_index(self, spec: CollectionSpec) -> None:
        try:
            built = indexing.build(self._database, spec, self.options)
        except CollectionNotFound:
            raise
        except BackendError as error:
            logger.warning("%s: the index stays as it is: %s", spec.name, error)
        else:
            _check_alone(built)

    def _build_better_index(self, spec: CollectionSpec) -> bool:
        lists = planning.with_lists(self.options)
        # A number of probes that the site set before might be too small.
        if lists is None or lists.probes:
            return False
        built = indexing.build(self._database, spec, lists)
        _check_alone(built)
        return built.is_changed

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        return first_invalid(matrix(batch), spec.metric, self.longest_vector)

    def _found(
        self, spec: CollectionSpec, statement: searching.Statement, asked: Any
    ) -> list[tuple[float, UUID]]:
        """Return distances with ids. A lower distance is nearer. Sorted, they are best first."""
        if statement.has_distances:
            clipped = FACTS[spec.metric].clipped
            return [(-clipped(-distance), id) for id, distance in self._rows(spec, statement)]
        found = self._candidates(spec, statement)
        right = scores(matrix(found), asked, spec.metric)
        return [(-score, id) for id, score in zip(found.uuids, right, strict=True)]

    def _candidates(self, spec: CollectionSpec, statement: searching.Statement) -> RecordBatch:
        """Return the ids and vectors that a statement finds."""
        rows = self._rows(spec, statement)
        return RecordBatch(
            ids=b"".join([id.bytes for id, _ in rows]),
            vectors=decoded([vector for _, vector in rows], spec.dimensions).reshape(-1).data,
            metadata=["{}"] * len(rows),
            dimensions=spec.dimensions,
        )

    def _rows(self, spec: CollectionSpec, statement: searching.Statement) -> list[tuple[Any, ...]]:
        return self._read(spec, statement.query, statement.parameters, statement.settings)

    def _read(
        self,
        spec: CollectionSpec,
        query: str,
        parameters: list[Any],
        settings: Mapping[str, str] | None = None,
    ) -> list[tuple[Any, ...]]:
        return self._database.read(
            query, parameters, collection=spec.name, timeout=spec.timeout, settings=settings
        )


def _check_alone(built: indexing.Built) -> None:
    if built.is_old_left:
        raise BackendUnavailable(
            "A long transaction uses an old index, so searches may still read that one"
        )


def _matches(found: list[tuple[float, UUID]]) -> list[Match]:
    return [Match(id=id, score=-distance) for distance, id in found]


def _delete(cursor: Cursor, table: str, keys: list[bytes]) -> None:
    # Every writer locks rows in the order of ids. So no two writers can wait for each other.
    cursor.execute(
        f'DELETE FROM {table} WHERE "id" IN (SELECT "id" FROM {table}'
        ' WHERE "id" = ANY(%s::uuid[]) ORDER BY "id" FOR UPDATE)',
        [f"{{{','.join([key.hex() for key in keys])}}}"],
    )
