"""Builds the index over a collection's vectors, unless the right one exists."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from psycopg import errors, sql

from wagtail_vector_index.contract import CollectionSpec
from wagtail_vector_index.exceptions import BackendError

from .database import Cursor, Database
from .extension import Extension
from .memory import CHANGED, reserve
from .options import PgvectorOptions, Precision
from .planning import plan, with_lists
from .searching import LIMITS, indexed, precision_of
from .tables import table_name

logger = logging.getLogger(__name__)

#: The most milliseconds that searches wait while an old index is dropped.
LONGEST_WAIT_TO_DROP = 2_000

#: How an index is built if the server cannot do it as it is told: a name, a statement, and advice.
_MODEST = (
    (
        "without parallel workers",
        "SET LOCAL max_parallel_maintenance_workers = 0",
        # They share their memory there, and many containers have only 64 MB of it.
        "If the server runs in a container, give it a larger /dev/shm; for Docker, set --shm-size.",
    ),
    (
        "in the memory of the server's own settings",
        "SET LOCAL maintenance_work_mem TO DEFAULT",
        "Set MAINTENANCE_WORK_MEM to what the server can spare.",
    ),
)

FIND = """
SELECT indexrelid::regclass::text, indisvalid, coalesce(obj_description(indexrelid, 'pg_class'), '')
FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = %s::regclass AND amname IN ('hnsw', 'ivfflat')
ORDER BY 1
"""


def is_there(cursor: Cursor, spec: CollectionSpec) -> bool:
    """Return whether the collection has an index over its vectors, with any options."""
    cursor.execute(FIND, [table_name(spec)])
    return cursor.fetchone() is not None


def lists_of(database: Database, spec: CollectionSpec) -> int | None:
    """Return how many lists a collection's index has, or None if it has none of IVFFlat."""
    for _, is_valid, comment in database.read(FIND, [table_name(spec)], collection=spec.name):
        if is_valid and comment.startswith("ivfflat "):
            return int(comment.rpartition(" ")[2])
    return None


@dataclass(frozen=True, kw_only=True)
class Built:
    """What `build` did: whether it built or dropped an index, and whether an old one is left."""

    is_changed: bool
    is_old_left: bool


def build(database: Database, spec: CollectionSpec, options: PgvectorOptions) -> Built:
    """Build the index that the options describe. Nothing happens if it exists.

    Lists that have taken the place of a graph stay. If the collection has grown, there are more of
    them. An index that a crash left invalid, or that has other options, is replaced. The index is
    built in an ordinary transaction. Meanwhile, searches go on and writes to this collection wait.
    Building it "concurrently" would wait for every transaction in the database instead, and can
    leave an invalid index behind.
    """
    extension = database.extension()
    return database.write(
        lambda cursor: _build(extension, cursor, spec, options),
        collection=spec.name,
        lock=table_name(spec),
        timeout=0,
        changed_by_work=CHANGED,
    )


def vacuum(database: Database, spec: CollectionSpec) -> None:
    """Vacuum a collection's table, so that counts of a filter's matches only read its index.

    Does nothing in a caller's transaction, and only logs an error. The server's own settings
    limit its time.
    """
    if database.in_transaction:
        return
    [(schema,)] = database.read("SELECT quote_ident(current_schema())", collection=spec.name)
    try:
        database.autocommit(f"VACUUM {schema}.{table_name(spec)}", collection=spec.name)
    except BackendError as error:
        logger.warning(
            "%s: VACUUM failed, so filtered searches may be slower: %s",
            spec.name,
            error,
        )


def _build(
    extension: Extension,
    cursor: Cursor,
    spec: CollectionSpec,
    options: PgvectorOptions,
) -> Built:
    cursor.execute(FIND, [table_name(spec)])
    there = cursor.fetchall()
    precision = precision_of(spec, options)
    kept: list[str] = []
    if precision is None:
        _warn_of_size(spec, options)
    else:
        valid = [comment for _, is_valid, comment in there if is_valid]
        lists = with_lists(options)
        if lists and any(comment.startswith(_kind(lists, precision)) for comment in valid):
            options = lists
        planned = plan(cursor, spec, options, precision)
        wanted = _kind(options, precision) + planned.parameters
        kept = [name for name, is_valid, comment in there if is_valid and comment == wanted][:1]
        if not kept:
            target = indexed(extension, spec, precision)
            over = f"{options.index} ({target.expression} {target.operator_class})"
            started = time.monotonic()
            logger.info("%s: building the index (%s).", spec.name, wanted)
            if planned.advice:
                logger.warning("%s: %s", spec.name, planned.advice)
            reserve(cursor, planned.memory)
            _create(cursor, spec, f"USING {over} WITH ({planned.parameters})")
            cursor.execute(FIND, [table_name(spec)])
            known = {name for name, _, _ in there}
            kept = [name for name, _, _ in cursor.fetchall() if name not in known]
            cursor.execute(f"COMMENT ON INDEX {kept[0]} IS {sql.quote(wanted)}")
            logger.info("%s: built the index in %.1f s.", spec.name, time.monotonic() - started)
    cursor.execute(f"ANALYZE {table_name(spec)}")
    # Dropped last: from the drop until the end of the transaction, searches wait as well.
    old = [one for one in there if one[0] not in kept]
    dropped = []
    for name, is_valid, comment in old:
        logger.info("%s: dropping the old index (%s); valid: %s.", spec.name, comment, is_valid)
        dropped.append(_drop(cursor, spec, name))
    is_new = any(name not in {name for name, _, _ in there} for name in kept)
    return Built(is_changed=is_new or any(dropped), is_old_left=not all(dropped))


def _kind(options: PgvectorOptions, precision: Precision) -> str:
    """Return the beginning of the comment on an index, before its parameters."""
    return f"{options.index} {precision}: "


def _create(cursor: Cursor, spec: CollectionSpec, definition: str) -> None:
    """Create an index, by one process and in less memory if the server has less than it says."""
    statement = f"CREATE INDEX ON {table_name(spec)} {definition}"
    for how, change, advice in _MODEST:
        try:
            with cursor.connection.transaction():  # a savepoint
                cursor.execute(statement, [])
        except (errors.DiskFull, errors.OutOfMemory) as error:
            reason = str(error).strip().splitlines()[0]
            logger.warning("%s: builds the index %s: %s. %s", spec.name, how, reason, advice)
            cursor.execute(change)
        else:
            return
    cursor.execute(statement, [])


def _drop(cursor: Cursor, spec: CollectionSpec, name: str) -> bool:
    """Drop an index, unless that waits for a long search. Others would queue behind it."""
    try:
        with cursor.connection.transaction():  # a savepoint
            cursor.execute(f"SET LOCAL lock_timeout = {LONGEST_WAIT_TO_DROP}")
            cursor.execute(f"DROP INDEX {name}")
    except errors.LockNotAvailable:
        logger.warning(
            "%s: the old index %s is in use. It is dropped when the recall is measured again.",
            spec.name,
            name,
        )
        return False
    return True


def _warn_of_size(spec: CollectionSpec, options: PgvectorOptions) -> None:
    if options.index != "none":
        logger.warning(
            "%s: all searches are exact, because the vectors have %d dimensions under %s, and"
            " pgvector can index at most %s.",
            spec.name,
            spec.dimensions,
            spec.metric,
            LIMITS,
        )
