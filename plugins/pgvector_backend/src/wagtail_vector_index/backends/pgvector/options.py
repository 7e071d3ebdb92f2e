"""What can stand in the settings beside ``BACKEND``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from wagtail_vector_index.contract import Options

Index = Literal["hnsw", "ivfflat", "none"]
Precision = Literal["vector", "halfvec", "bit"]

#: As PostgreSQL reads amounts of memory, or nothing.
MEMORY = r"|\d+(\.\d+)? ?(B|kB|MB|GB|TB)?"

#: Option, and the least and the most that pgvector takes.
RANGES = {
    "m": (2, 100),
    "ef_construction": (4, 1_000),
    "ef_search": (1, 1_000),
    "probes": (1, 32_768),
}


@dataclass(frozen=True, kw_only=True)
class PgvectorOptions(Options):
    """The options of an alias; all of them have defaults.

    Args:
        database: the alias in ``DATABASES`` of the database that holds the collections.
        index: the index that `optimize` builds; with ``"none"`` all searches are exact.
        precision: what is indexed: the vectors, or 16 bits or one bit of each component.
            The vectors themselves are always kept whole, and scores computed from them.
        m: HNSW: how many neighbours each vector has in the graph.
        ef_construction: HNSW: how many candidates are looked at for them.
        ef_search: HNSW: how many candidates a search looks at.
        probes: IVFFlat: how many lists a search looks into.
        maintenance_work_mem: memory for building an index, such as ``"1GB"``; the
            server's setting by default.
        timeout: seconds that a statement may take, building an index apart.
    """

    database: str = "default"
    index: Index = "hnsw"
    precision: Precision = "vector"
    m: int = 16
    ef_construction: int = 64
    ef_search: int = 100
    probes: int = 10
    maintenance_work_mem: str = ""
    timeout: float = 10.0

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name.upper()!r} must be from {least} to {most}, not {value}.")
        if self.ef_construction < 2 * self.m:
            raise ValueError(
                f"'EF_CONSTRUCTION' must be at least twice 'M', which is {self.m},"
                f" not {self.ef_construction}."
            )
        if not re.fullmatch(MEMORY, self.maintenance_work_mem):
            raise ValueError(
                "'MAINTENANCE_WORK_MEM' must be a number with a unit of PostgreSQL's, such as"
                f" '512MB' or '1GB', not {self.maintenance_work_mem!r}."
            )
        if not 0.001 <= self.timeout <= 2_000_000:
            raise ValueError(
                f"'TIMEOUT' must be from 0.001 to 2,000,000 seconds, not {self.timeout}."
            )
