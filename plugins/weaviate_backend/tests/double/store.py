"""Collections in memory; a search compares every record."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Refused(Exception):
    """What the server says instead of doing what it was asked."""


@dataclass
class Stored:
    """One record: what can be filtered by, and its vector."""

    id: str
    properties: dict[str, Any]
    vector: Any


@dataclass
class Collection:
    """A class of the schema with its records."""

    config: dict[str, Any]
    records: dict[str, Stored] = field(default_factory=dict)
    #: The ids of the records that no index has, since the server crashed while it wrote them.
    unindexed: set[str] = field(default_factory=set)
    matrix: Any = None
    rows: list[Stored] = field(default_factory=list)

    @property
    def types(self) -> dict[str, str]:
        return {each["name"]: each["dataType"][0] for each in self.config.get("properties", [])}

    @property
    def distance(self) -> str:
        [vector] = self.config["vectorConfig"].values()
        return str(vector["vectorIndexConfig"].get("distance", "cosine"))

    @property
    def index(self) -> dict[str, Any]:
        [vector] = self.config["vectorConfig"].values()
        found: dict[str, Any] = vector["vectorIndexConfig"]
        return found

    @property
    def ef(self) -> int:
        return int(self.index["ef"])

    @property
    def vector_name(self) -> str:
        return next(iter(self.config.get("vectorConfig", {})), "")

    def ordered(self) -> list[Stored]:
        """All records, by id."""
        if self.matrix is None:
            self.rows = [self.records[id] for id in sorted(self.records)]
            vectors = [row.vector for row in self.rows]
            self.matrix = np.array(vectors, np.float32) if vectors else np.empty((0, 0), np.float32)
        return self.rows


class Store:
    """All collections, and what the server is set to."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.collections: dict[str, Collection] = {}
        self.settings: dict[str, Any] = {}
        self.configure({})

    def configure(self, settings: dict[str, Any]) -> None:
        """Set the server anew; what is not given is as in a server's defaults."""
        self.settings = {
            "version": "1.39.0",
            "key": "",
            # Whether the key may only read.
            "only_reads": False,
            "max_results": 10_000,
            "read_only": False,
            "queue": [],
            "nodes": [{"name": "double"}],
            "members": ["double"],
            "starts": 1,
            "aliases": {},
            "no_statistics": False,
            "auto_schema": True,
            "latest_client": "",
            # How many candidates a search needs to see all records; with fewer, it sees a share.
            "candidates": 0,
        } | settings

    def create(self, config: dict[str, Any]) -> dict[str, Any]:
        """Add a class.

        Raises:
            Refused: there is one of this name.
        """
        name = config["class"]
        with self.lock:
            similar = {known.lower(): known for known in self.collections}
            if (known := similar.get(name.lower())) is not None:
                raise Refused(
                    f"class name {name} already exists"
                    if known == name
                    else f"class already exists: found similar class {known!r}"
                )
            self.collections[name] = Collection(config)
        return config

    def drop(self, name: str) -> None:
        """Delete a class, or one whose name differs only in case: to a server, they are one."""
        with self.lock:
            for known in list(self.collections):
                if known.lower() == name.lower():
                    del self.collections[known]

    def get(self, name: str) -> Collection:
        """A class.

        Raises:
            Refused: there is none of this name.
        """
        found = self.collections.get(name)
        if found is None:
            raise Refused(f"could not find class {name} in schema")
        return found

    def write(self, name: str, records: list[Stored], *, crash: bool = False) -> dict[int, str]:
        """Write records; the errors by their row. With ``crash``, no index gets new vectors."""
        with self.lock:
            if name not in self.collections:
                rows = range(len(records))
                if not self.settings["auto_schema"]:
                    return dict.fromkeys(rows, f"class '{name}' not present in schema")
                if any(value == {} for value in records[0].properties.values()):
                    return dict.fromkeys(
                        rows,
                        "auto-schema: create collection: property 'x': At least one nested"
                        " property is required for data type object/object[]",
                    )
                self.create({"class": name, "properties": []})
                return dict.fromkeys(rows, f"vector index for {name} not found")
            if self.settings["read_only"]:
                return {0: "store is read-only due to: disk usage"}  # no word of the others
            collection = self.collections[name]
            errors = {}
            for row, record in enumerate(records):
                known = next(iter(collection.records.values()), record)
                if len(known.vector) != len(record.vector):
                    errors[row] = (
                        f"new node has a vector with length {len(record.vector)}. Existing nodes"
                        f" have vectors with length {len(known.vector)}: vector dimensions do not"
                        " match the index dimensions"
                    )
                    continue
                held = collection.records.get(record.id)
                collection.records[record.id] = record
                # A record that is held already is not indexed again, unless its vector differs.
                if held is None or not np.array_equal(held.vector, record.vector):
                    (collection.unindexed.add if crash else collection.unindexed.discard)(record.id)
            collection.matrix = None
            return errors

    def delete(self, name: str, ids: list[str]) -> int:
        """Delete records; how many, of those there were at most ``max_results``."""
        with self.lock:
            collection = self.get(name)
            if self.settings["read_only"]:
                return 0
            ids = ids[: self.settings["max_results"]]
            for id in ids:
                del collection.records[id]
                collection.unindexed.discard(id)
            collection.matrix = None
            return len(ids)

    def nearest(
        self, collection: Collection, query: Any, kept: list[int] | None, limit: int
    ) -> list[tuple[Stored, float]]:
        """The rows with the least distance from a query; of equal ones, any."""
        rows = collection.ordered()
        if collection.unindexed:
            places = range(len(rows)) if kept is None else kept
            kept = [place for place in places if rows[place].id not in collection.unindexed]
        if not rows or kept == []:
            return []
        if (needed := self.settings["candidates"]) and self._is_approximate(collection, kept):
            ef = collection.ef if collection.ef > 0 else 100
            places = range(len(rows)) if kept is None else kept
            kept = [place for place in places if place % 97 < 97 * ef / needed]
        vectors = collection.matrix if kept is None else collection.matrix[kept]
        if vectors.shape[1] != len(query):
            raise Refused(f"vector lengths don't match: {vectors.shape[1]} vs {len(query)}")
        distances = _distances(vectors, query, collection.distance)
        best = np.argsort(distances, kind="stable")[:limit]
        places = best if kept is None else np.asarray(kept)[best]
        return [
            (rows[place], float(distance))
            for place, distance in zip(places, distances[best], strict=True)
        ]

    def _is_approximate(self, collection: Collection, kept: list[int] | None) -> bool:
        """A server compares all records that a filter keeps, up to a number of them."""
        return kept is None or len(kept) >= collection.index["flatSearchCutoff"]


def _distances(vectors: Any, query: Any, name: str) -> Any:
    if name == "l2-squared":
        difference = vectors - query
        return (difference * difference).sum(axis=1)
    if name == "dot":
        return -(vectors @ query)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.maximum(0, 1 - (vectors @ query) / lengths)
