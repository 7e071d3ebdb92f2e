"""The index over a collection's vectors: whether it is the right one, and building it."""

from __future__ import annotations

import logging
import math
import time

from psycopg import errors, sql

from wagtail_vector_index.contract import CollectionSpec
from wagtail_vector_index.exceptions import BackendError

from .database import Cursor, Database
from .extension import Extension
from .options import PgvectorOptions
from .searching import LIMITS, indexed, precision_of
from .tables import table_name

logger = logging.getLogger(__name__)

#: Milliseconds that searches may have to wait for an old index to be dropped.
LONGEST_WAIT_TO_DROP = 2_000

FIND = """
SELECT indexrelid::regclass::text, indisvalid, coalesce(obj_description(indexrelid, 'pg_class'), '')
FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = %s::regclass AND amname IN ('hnsw', 'ivfflat')
ORDER BY 1
"""


def is_there(cursor: Cursor, spec: CollectionSpec) -> bool:
    """Whether the collection has an index over its vectors, of whichever options."""
    cursor.execute(FIND, [table_name(spec)])
    return cursor.fetchone() is not None


def build(database: Database, spec: CollectionSpec, options: PgvectorOptions) -> None:
    """Make the index be there as the options have it; nothing happens if it is.

    One that a crash left invalid, or that was built with other options, is replaced. While
    it is built, in a transaction like any other, searches go on and writes to this
    collection wait. Building it "concurrently" would wait for every transaction in the
    database instead, and can leave such an invalid index behind.
    """
    settings = {}
    if options.maintenance_work_mem:
        settings["maintenance_work_mem"] = options.maintenance_work_mem
    extension = database.extension()
    database.write(
        lambda cursor: _build(extension, cursor, spec, options),
        collection=spec.name,
        lock=table_name(spec),
        timeout=0,
        settings=settings,
    )


def vacuum(database: Database, spec: CollectionSpec) -> None:
    """Let a filter's matches be counted in its index alone, unless in a caller's transaction.

    It goes on without: this takes as long as the server's own settings let it.
    """
    if database.in_transaction:
        return
    [(schema,)] = database.read("SELECT quote_ident(current_schema())", collection=spec.name)
    try:
        database.autocommit(f"VACUUM {schema}.{table_name(spec)}", collection=spec.name)
    except BackendError as error:
        logger.warning("%s: VACUUM was not done: %s", spec.name, error)


def _build(
    extension: Extension, cursor: Cursor, spec: CollectionSpec, options: PgvectorOptions
) -> None:
    cursor.execute(FIND, [table_name(spec)])
    there = cursor.fetchall()
    precision = precision_of(spec, options)
    parameters = _parameters(cursor, spec, options)
    wanted = "" if precision is None else f"{options.index} {precision}: {parameters}"
    kept = [name for name, is_valid, comment in there if is_valid and comment == wanted][:1]
    if precision is None:
        _say_why(spec, options)
    elif not kept:
        target = indexed(extension, spec, precision)
        over = f"{options.index} ({target.expression} {target.operator_class})"
        started = time.monotonic()
        logger.info("%s: building the index (%s).", spec.name, wanted)
        cursor.execute(f"CREATE INDEX ON {table_name(spec)} USING {over} WITH ({parameters})", [])
        cursor.execute(FIND, [table_name(spec)])
        known = {name for name, _, _ in there}
        kept = [name for name, _, _ in cursor.fetchall() if name not in known]
        cursor.execute(f"COMMENT ON INDEX {kept[0]} IS {sql.quote(wanted)}")
        logger.info("%s: built the index in %.1f s.", spec.name, time.monotonic() - started)
    cursor.execute(f"ANALYZE {table_name(spec)}")
    # Only now: from here until the end of the transaction, searches wait as well.
    for name, is_valid, comment in there:
        if name not in kept:
            logger.info("%s: the index (%s) goes; valid: %s.", spec.name, comment, is_valid)
            _drop(cursor, spec, name)


def _drop(cursor: Cursor, spec: CollectionSpec, name: str) -> None:
    """Drop an index, unless that waits for a long reader: all other ones would queue up behind."""
    try:
        with cursor.connection.transaction():  # a savepoint
            cursor.execute(f"SET LOCAL lock_timeout = {LONGEST_WAIT_TO_DROP}")
            cursor.execute(f"DROP INDEX {name}")
    except errors.LockNotAvailable:
        logger.warning(
            "%s: the index %s is in use; the next optimize tries again to drop it.",
            spec.name,
            name,
        )


def _say_why(spec: CollectionSpec, options: PgvectorOptions) -> None:
    if options.index != "none":
        logger.warning(
            "%s: all searches are exact: these are %d dimensions under %s, and the most that"
            " pgvector indexes is %s.",
            spec.name,
            spec.dimensions,
            spec.metric,
            LIMITS,
        )


def _parameters(cursor: Cursor, spec: CollectionSpec, options: PgvectorOptions) -> str:
    if options.index == "hnsw":
        return f"m = {options.m}, ef_construction = {options.ef_construction}"
    cursor.execute(f"SELECT count(*) FROM {table_name(spec)}")
    [count] = cursor.fetchone() or (0,)
    return f"lists = {_lists(count)}"


def _lists(count: int) -> int:
    """As pgvector advises; a power of two, so that a little growth is no reason to build anew."""
    advised = count / 1_000 if count <= 1_000_000 else math.sqrt(count)
    return max(1, 2 ** round(math.log2(advised))) if advised > 1 else 1
