"""Decides which index to build over a collection's vectors, and with how much memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from wagtail_vector_index.contract import CollectionSpec

from .database import Cursor
from .memory import allowed, clustering_size, graph_size, megabytes
from .options import PgvectorOptions, Precision
from .tables import table_name

__all__ = ["Plan", "advice", "plan", "with_lists"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An index to build.

    Args:
        parameters: how the index is built, as SQL.
        memory: the bytes of memory for building it.
        advice: what the server has too little memory for, and what to do; empty if it has enough.
    """

    parameters: str
    memory: int
    advice: str


def with_lists(options: PgvectorOptions) -> PgvectorOptions | None:
    """Return the options of the lists that may take the place of a graph, if it finds too little.

    A graph misses the most where thousands of vectors are much alike: all neighbours of each are
    among them, and few paths lead there. Lists, each of what is near a centre, find just these.

    Returns None if the site chose its own graph, or for bits: the graph proposes more of these
    candidates than lists do.
    """
    ordinary = (PgvectorOptions.m, PgvectorOptions.ef_construction)
    if (
        options.index != "hnsw"
        or options.precision == "bit"
        or (options.m, options.ef_construction) != ordinary
    ):
        return None
    return replace(options, index="ivfflat")


def advice(options: PgvectorOptions) -> str:
    """Return what to do if no search of the index finds enough."""
    ways = [
        ("EF_SEARCH to more", options.index == "hnsw" and options.ef_search),
        ("PROBES to more", options.probes),
        ("PRECISION to 'vector'", options.precision != "vector"),
        (
            "INDEX to 'ivfflat'",
            options.index == "hnsw" and options.precision != "bit" and not with_lists(options),
        ),
        ("INDEX to 'none' for exact searches", True),
    ]
    possible = ", or ".join(way for way, is_possible in ways if is_possible)
    return f"Set {possible}, and run: manage.py update_vector_indexes --rebuild"


def plan(
    cursor: Cursor, spec: CollectionSpec, options: PgvectorOptions, precision: Precision
) -> Plan:
    """Return how to build an index of these options, in the memory that the server can spare."""
    cursor.execute(f"SELECT count(*) FROM {table_name(spec)}")
    [count] = cursor.fetchone() or (0,)
    most = allowed(cursor, options)
    planned = _graph if options.index == "hnsw" else _lists
    return planned(spec, options, precision, count, most)


def _graph(
    spec: CollectionSpec, options: PgvectorOptions, precision: Precision, count: int, most: int
) -> Plan:
    needed = graph_size(count, spec.dimensions, precision, options.m)
    smaller = "" if precision != "vector" else ", or PRECISION to 'halfvec', which needs less"
    too_little = (
        f"the graph of {count} vectors needs about {megabytes(needed)} of memory, but may use"
        f" {megabytes(most)}. So the build will take much longer. If the server has more free"
        f" memory, set MAINTENANCE_WORK_MEM to '{megabytes(needed)}'{smaller}."
    )
    return Plan(
        parameters=f"m = {options.m}, ef_construction = {options.ef_construction}",
        memory=min(needed, most),
        advice=too_little if needed > most else "",
    )


def _lists(
    spec: CollectionSpec, options: PgvectorOptions, precision: Precision, count: int, most: int
) -> Plan:
    def needed(lists: int) -> int:
        return clustering_size(count, spec.dimensions, precision, lists)

    advised = lists = advised_lists(count)
    while lists > 1 and needed(lists) > most:
        lists //= 2
    too_little = (
        f"the index of {count} vectors has {lists} instead of {advised} lists, since to make more"
        f" would take more than {megabytes(most)} of memory. So searches will take longer. If the"
        f" server has more free memory, set MAINTENANCE_WORK_MEM to '{megabytes(needed(advised))}'."
    )
    return Plan(
        parameters=f"lists = {lists}",
        memory=needed(lists),  # pgvector refuses to build with less
        advice=too_little if lists < advised else "",
    )


def advised_lists(count: int) -> int:
    """Return the number of lists that pgvector advises, rounded to a power of two.

    The rounding avoids a new index after a little growth.
    """
    advised = count / 1_000 if count <= 1_000_000 else math.sqrt(count)
    return max(1, 2 ** round(math.log2(advised))) if advised > 1 else 1
