"""Gives the build of an index the memory that it needs, if the server can spare as much.

pgvector builds a graph of HNSW in memory, up to ``maintenance_work_mem``. It adds the vectors that
do not fit to the graph on the disk, which takes several times as long for each. For IVFFlat, it
clusters a sample of the vectors into lists, and refuses if that needs more memory.
"""

from __future__ import annotations

from .database import Cursor
from .options import PgvectorOptions, Precision

__all__ = ["CHANGED", "allowed", "clustering_size", "graph_size", "megabytes", "reserve"]

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

#: How many vectors pgvector clusters: at least, and for each list.
_FEWEST_SAMPLES, _SAMPLES = 10_000, 50

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


def clustering_size(count: int, dimensions: int, precision: Precision, lists: int) -> int:
    """Return about how many bytes of memory pgvector needs to find the centres of lists.

    It is what ``ivfkmeans.c`` of pgvector 0.8 adds up, and a little more: the samples, three times
    the centres, and a distance between each of them and each of the others.
    """
    samples = max(_FEWEST_SAMPLES, _SAMPLES * lists)
    vector = _BITS[precision] * dimensions / 8 + 16
    centres = lists * (2 * vector + 4 * dimensions + 4 * lists + 16)
    distances = min(count, samples) * (4 * lists + 8)
    return round(samples * vector + centres + distances) + _MEGABYTE


def allowed(cursor: Cursor, options: PgvectorOptions) -> int:
    """Return how many bytes of memory building an index may take.

    ``MAINTENANCE_WORK_MEM`` says so, and is set until the end of the transaction. Without this
    option, the server's settings tell what it can spare.
    """
    if options.maintenance_work_mem:
        _set(cursor, options.maintenance_work_mem)
    own, spare = _own_and_spare(cursor)
    return own if options.maintenance_work_mem else max(own, spare)


def reserve(cursor: Cursor, needed: int) -> None:
    """Set the memory for building an index, until the end of the transaction; never to less."""
    own, _ = _own_and_spare(cursor)
    if needed > own:
        _set(cursor, megabytes(needed))


def megabytes(size: int) -> str:
    """Return a size as PostgreSQL's settings have it, rounded up."""
    return f"{max(1, -(-size // _MEGABYTE))}MB"


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
