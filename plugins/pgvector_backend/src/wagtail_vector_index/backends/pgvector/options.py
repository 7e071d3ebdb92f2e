"""The options of the backend in the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from wagtail_vector_index.contract import (
    MAX_TIMEOUT,
    RECALL_TARGET,
    Options,
    check_ranges,
    check_recall,
)

Index = Literal["hnsw", "ivfflat", "none"]
Precision = Literal["vector", "halfvec", "bit"]

#: An amount of memory as PostgreSQL reads it, and how many of each unit are a megabyte.
MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?(kB|MB|GB|TB)")
UNITS = {"kB": 1 / 1024, "MB": 1, "GB": 1024, "TB": 1024**2}

#: The lowest and highest values of options, all but the last as pgvector accepts them.
RANGES = {
    "m": (2, 100),
    "ef_construction": (4, 1_000),
    "ef_search": (1, 1_000),
    "probes": (1, 32_768),
    "timeout": (0.001, MAX_TIMEOUT),
}


@dataclass(frozen=True, kw_only=True)
class PgvectorOptions(Options):
    """The options of an alias. All of them have defaults.

    Args:
        database: the alias in ``DATABASES`` of the database that holds the collections.
        index: the index that `optimize` builds. With ``"none"``, all searches are exact.
        precision: the indexed form of vectors: whole, or 16 bits or one bit of each component.
            The table always has the whole vectors, and scores are computed from them.
        m: HNSW: the number of neighbours of each vector in the graph.
        ef_construction: HNSW: the number of candidates for these neighbours.
        recall: the share of the nearest records that searches of the index must find. The
            cheapest ``ef_search`` or ``probes`` that reaches it is measured.
        ef_search: HNSW: the number of candidates of a search, instead of the measured one.
        probes: IVFFlat: the number of lists that a search reads, instead of the measured one.
        maintenance_work_mem: the memory for building an index, such as ``"1GB"``. By default, a
            graph gets what it needs, up to what the server's settings say it can spare.
        timeout: the seconds that a statement may take, and a search with all its statements. It
            does not limit building an index.
    """

    database: str = "default"
    index: Index = "hnsw"
    precision: Precision = "vector"
    m: int = 16
    ef_construction: int = 64
    recall: float = RECALL_TARGET
    ef_search: int | None = None
    probes: int | None = None
    maintenance_work_mem: str = ""
    timeout: float = 10.0

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        check_recall(self.recall)
        if self.ef_construction < 2 * self.m:
            raise ValueError(
                f"'EF_CONSTRUCTION' must be at least twice 'M', which is {self.m},"
                f" not {self.ef_construction}."
            )
        if self.maintenance_work_mem and not _is_memory(self.maintenance_work_mem):
            raise ValueError(
                "'MAINTENANCE_WORK_MEM' must be at least a megabyte, as a number with a unit that"
                f" PostgreSQL knows, such as '512MB' or '1GB', not {self.maintenance_work_mem!r}."
            )


def _is_memory(amount: str) -> bool:
    """Whether this is at least a megabyte, the least that every release of PostgreSQL accepts."""
    parts = MEMORY.fullmatch(amount)
    return parts is not None and float(parts[1]) * UNITS[parts[2]] >= 1
