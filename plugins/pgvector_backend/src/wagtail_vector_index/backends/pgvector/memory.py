"""Gives the build of a graph the memory that it needs, if the server can spare as much.

pgvector builds a graph of HNSW in memory, up to ``maintenance_work_mem``. It adds the vectors that
do not fit to the graph on the disk, which takes several times as long for each.
"""

from __future__ import annotations

import logging

from wagtail_vector_index.contract import CollectionSpec

from .database import Cursor
from .options import PgvectorOptions, Precision
from .tables import table_name

__all__ = ["CHANGED", "graph_size", "reserve"]

logger = logging.getLogger(__name__)

#: The settings that the build of an index changes.
CHANGED = ("maintenance_work_mem", "max_parallel_maintenance_workers")

#: The bits of a component in each precision.
_BITS: dict[Precision, int] = {"vector": 32, "halfvec": 16, "bit": 1}

#: The bytes of a vector's node beside its components, and for each of its M neighbours, twice as
#: many of which are on the lowest layer. Measured with pgvector 0.8.
_NODE, _NEIGHBOUR = 188, 34

#: What processes that build one graph together need more.
_SHARED = 1.15
_FIXED = 4 * 2**20

_MEGABYTE = 2**20

#: The server's settings in bytes, and whether somebody has set them.
_LOOK = """
SELECT name, pg_size_bytes(current_setting(name)), source <> 'default' FROM pg_settings
WHERE name IN ('maintenance_work_mem', 'shared_buffers', 'effective_cache_size')
"""


def graph_size(count: int, dimensions: int, precision: Precision, m: int) -> int:
    """Return about how many bytes of memory the build of a graph needs, rather too many."""
    node = _BITS[precision] * dimensions / 8 + _NODE + _NEIGHBOUR * m
    return round(_SHARED * count * node) + _FIXED


def reserve(
    cursor: Cursor,
    spec: CollectionSpec,
    options: PgvectorOptions,
    precision: Precision,
    better: PgvectorOptions | None,
) -> None:
    """Set the memory for building an index, until the end of the transaction.

    It is ``MAINTENANCE_WORK_MEM``. Without this option, a graph gets what it needs, up to what the
    server can spare. If that is too little, log what would make the build faster.

    Args:
        cursor: of the transaction.
        spec: the collection.
        options: describe the index.
        precision: of the vectors in the index.
        better: describe the graph that is built if this one finds too little, if any.
    """
    if options.maintenance_work_mem:
        _set(cursor, options.maintenance_work_mem)
    if options.index != "hnsw":
        return
    cursor.execute(f"SELECT count(*) FROM {table_name(spec)}")
    [count] = cursor.fetchone() or (0,)
    needed = graph_size(count, spec.dimensions, precision, options.m)
    own, spare = _own_and_spare(cursor)
    allowed = own if options.maintenance_work_mem else max(own, spare)
    _set(cursor, _megabytes(min(allowed, max(needed, own))))
    if needed > allowed:
        most = graph_size(count, spec.dimensions, precision, (better or options).m)
        also = ", which suffices for the better graph that may follow" if better else ""
        smaller = "" if precision != "vector" else ", or PRECISION to 'halfvec', which needs less"
        logger.warning(
            "%s: the graph of %d vectors needs about %s of memory, but may use %s. So the build"
            " will take much longer. If the server has more free memory, set"
            " MAINTENANCE_WORK_MEM to '%s'%s%s.",
            spec.name,
            count,
            _megabytes(needed),
            _megabytes(allowed),
            _megabytes(most),
            also,
            smaller,
        )


def _own_and_spare(cursor: Cursor) -> tuple[int, int]:
    """Return the bytes that a build may use as the settings are, and those that can be spared.

    No statement returns the memory of the server's machine, but its settings tell of it.
    ``effective_cache_size``, if it was set, includes the system's cache, of which a build may take
    half. If it was not, ``shared_buffers`` probably has the quarter of the memory that is advised,
    and a build may take as much again.
    """
    cursor.execute(_LOOK)
    found = {name: (size, is_set) for name, size, is_set in cursor.fetchall()}
    own, buffers = found["maintenance_work_mem"][0], found["shared_buffers"][0]
    cache, is_set = found["effective_cache_size"]
    return own, max(0, cache - buffers) // 2 if is_set else buffers


def _set(cursor: Cursor, memory: str) -> None:
    cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", [memory])


def _megabytes(size: int) -> str:
    return f"{max(1, -(-size // _MEGABYTE))}MB"
