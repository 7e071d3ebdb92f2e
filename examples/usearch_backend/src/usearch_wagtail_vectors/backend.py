"""The USearch backend, which keeps its collections in memory."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import numpy as np
import usearch
from django.core.checks import CheckMessage, Error

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Health,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import (
    EXACT,
    EXACT_UP_TO,
    RECALL_TARGET,
    ExactMatches,
    FilterNode,
    Setting,
    Snapshot,
    check_absolute,
    check_recall,
)
from wagtail_vector_index.contract.arrays import first_invalid, matrix

from .collection import Collection
from .graph import Shape
from .ranking import Query

#: The numbers of candidates of a search, the cheapest first.
EXPANSIONS = (128, 256, 512, 1_024, 2_048)


class UsearchBackend(VectorBackend):
    """Searches approximately in the memory of this process, by an HNSW graph of USearch.

    The first process loads the records from the site's database and builds the graph, which takes
    long. Core can write both to a file for the other processes.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "usearch", "SNAPSHOT_FOLDER": "/var/cache/site/vectors"},
        }
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        """The options of the backend.

        Args:
            snapshot_folder: the folder of the files that processes share. If it is empty, each
                process has its own records and its own graph.
            graph_from: the number of records from which a collection gets a graph. Smaller
                collections are searched exactly.
            connectivity: the neighbours of a vector in the graph, "M" in the paper on HNSW.
            expansion_add: the candidates for these neighbours, "efConstruction" in the paper.
            recall: the share of the nearest records that searches by the graph must find. The
                lowest ``expansion_search`` that reaches it is measured.
            expansion_search: the least number of candidates of a search, "ef" in the paper,
                instead of the measured number.
        """

        snapshot_folder: str = ""
        graph_from: int = EXACT_UP_TO
        connectivity: int = 16
        expansion_add: int = 128
        recall: float = RECALL_TARGET
        expansion_search: int | None = None

        def __post_init__(self) -> None:
            for name in ("graph_from", "expansion_add", "expansion_search"):
                value = getattr(self, name)
                if value is not None and value < 1:
                    raise ValueError(f"{name.upper()!r} must be at least 1.")
            if self.connectivity < 2:
                raise ValueError("'CONNECTIVITY' must be at least 2.")
            check_absolute(self, "snapshot_folder")
            check_recall(self.recall)

    max_batch_records = 4_096
    recall_advice = "Set CONNECTIVITY and EXPANSION_ADD to more, and start the processes again."

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self._by_name: dict[str, Collection] = {}
        self._creating = Lock()

    @property
    def persistent(self) -> bool:
        return False

    @property
    def snapshot_folder(self) -> Path | None:
        return Path(self.options.snapshot_folder) if self.options.snapshot_folder else None

    def check(self) -> list[CheckMessage]:
        """Return an error if the folder for snapshots does not exist."""
        folder = self.options.snapshot_folder
        if not folder or Path(folder).is_dir():
            return []
        return [
            Error(
                f"{self!r}: there is no folder {folder}.",
                hint="Create the folder, or correct SNAPSHOT_FOLDER.",
                id="usearch.E001",
            )
        ]

    def health(self) -> Health:
        """Return the numbers of collections and records, and the memory that they take."""
        collections = list(self._by_name.values())
        records = sum(map(len, collections))
        size = sum(collection.nbytes for collection in collections)
        return Health(
            ok=True,
            message=(
                f"{len(collections)} collections with {records} records"
                f" take {size / 2**20:.1f} MiB of this process"
            ),
            details={
                "collections": str(len(collections)),
                "records": str(records),
                "linked": str(sum(collection.linked for collection in collections)),
                "bytes": str(size),
                "usearch": usearch.__version__,
            },
        )

    def _snapshot(self, spec: CollectionSpec) -> Snapshot:
        return Snapshot(format=self._format, parts=self._collection(spec).saved())

    def _restore(self, spec: CollectionSpec, snapshot: Snapshot) -> None:
        if snapshot.format != self._format:
            raise ValueError(f"its format is {snapshot.format!r}, not {self._format!r}")
        collection = self._new_collection(spec)
        try:
            collection.restore(snapshot.parts)
        except KeyError as error:
            raise ValueError(f"it has no part {error}") from error
        with self._creating:
            self._by_name[spec.name] = collection

    @property
    def _format(self) -> str:
        """All that must be equal in the process that reads a snapshot."""
        names = ("graph_from", "connectivity", "expansion_add")
        options = ", ".join(f"{name} {getattr(self.options, name)}" for name in names)
        return f"usearch {usearch.__version__}, {sys.byteorder}-endian, {options}"

    def _create(self, spec: CollectionSpec) -> None:
        with self._creating:
            if spec.name in self._by_name:
                self._collection(spec)
            else:
                self._by_name[spec.name] = self._new_collection(spec)

    def _drop(self, spec: CollectionSpec) -> None:
        self._by_name.pop(spec.name, None)

    def _collections(self) -> list[str]:
        return list(self._by_name)

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        ids = [id.bytes for id in batch.uuids]
        self._collection(spec).upsert(ids, matrix(batch), list(batch.metadata))

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        self._collection(spec).delete([id.bytes for id in ids])

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview[Any],
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        query = Query.of(np.frombuffer(vector, np.float32))
        # The base class drops matches with a score below min_score.
        expansion = self.options.expansion_search or spec.setting.get("expansion_search")
        expansion = None if spec.setting == EXACT else int(expansion or EXPANSIONS[0])
        ids, scores, exact = self._collection(spec).search(query, limit, filter, expansion)
        matches = [
            Match(id=UUID(bytes=id), score=score) for id, score in zip(ids, scores, strict=True)
        ]
        return ExactMatches(matches) if exact else matches

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return self._collection(spec).count(filter)

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return _batch(self._collection(spec), [id.bytes for id in ids])

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        collection = self._collection(spec)
        # The ids are copied now, so that each record that stays is seen once.
        ids = collection.ids()
        parts = (ids[start : start + batch_size] for start in range(0, len(ids), batch_size))
        return filter(len, (_batch(collection, part) for part in parts))

    def _optimize(self, spec: CollectionSpec) -> None:
        self._collection(spec).optimize()

    def _search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        if not self._collection(spec).linked:
            return ()
        chosen = self.options.expansion_search
        return [{"expansion_search": value} for value in ((chosen,) if chosen else EXPANSIONS)]

    def _sample(self, spec: CollectionSpec, count: int) -> RecordBatch:
        collection = self._collection(spec)
        ids = collection.ids()
        return _batch(collection, random.sample(ids, min(count, len(ids))))

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        return first_invalid(matrix(batch), spec.metric)

    def _new_collection(self, spec: CollectionSpec) -> Collection:
        shape = Shape(
            dimensions=spec.dimensions,
            metric=spec.metric,
            connectivity=self.options.connectivity,
            expansion_add=self.options.expansion_add,
        )
        return Collection(spec, shape, self.options.graph_from)

    def _collection(self, spec: CollectionSpec) -> Collection:
        collection = self._by_name.get(spec.name)
        if collection is None:
            raise self._shape_error(spec, None)
        if collection.spec != spec:
            raise self._shape_error(spec, collection.spec.shape)
        return collection


def _batch(collection: Collection, ids: Sequence[bytes]) -> RecordBatch:
    found, vectors, texts = collection.get(ids)
    return RecordBatch(
        ids=found,
        vectors=vectors.reshape(-1).data,
        metadata=texts,
        dimensions=collection.spec.dimensions,
    )
