"""The NumPy backend, which keeps its collections in memory.

NumPy is imported with the first collection, so that commands and checks need not wait for it.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from django.core import checks

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    Health,
    Match,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import FilterNode, Snapshot, check_absolute

if TYPE_CHECKING:
    from .collection import Collection

#: A change of what the parts of a snapshot hold needs another name.
_FORMAT = "numpy 2"


class NumpyBackend(VectorBackend):
    """Searches in the memory of this process: exactly, unless ``QUANTIZATION`` is set.

    Each collection is a float32 matrix with its ids, metadata and filter columns. The processes
    of a machine share them by a file that all map into their memory. Changes that came after the
    file was written are in the memory of each process.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "numpy", "QUANTIZATION": "binary"},
        }
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        """``QUANTIZATION``: how to find candidates in large collections under cosine.

        ``OVERSAMPLING``: a factor for the number of candidates, which is this factor times the
        limit times the cube root of (records / limit).

        ``SNAPSHOT_FOLDER``: the folder of the files that processes share, or None if each process
        is to have all records in its own memory. "" is the system's temporary folder. Any other
        folder must exist.
        """

        quantization: Literal["none", "binary"] = "none"
        oversampling: float = 25.0
        snapshot_folder: str | None = ""

        def __post_init__(self) -> None:
            if not (math.isfinite(self.oversampling) and self.oversampling >= 1):
                raise ValueError(
                    f"'OVERSAMPLING' must be a finite number of at least 1,"
                    f" not {self.oversampling}."
                )
            check_absolute(self, "snapshot_folder")

    max_batch_records = 4_096

    options: Options

    def __init__(self, alias: str, options: Options) -> None:
        super().__init__(alias, options)
        self._by_name: dict[str, Collection] = {}
        self._creating = Lock()

    @property
    def persistent(self) -> bool:
        return False

    @property
    def snapshot_folder(self) -> Path | None:
        folder = self.options.snapshot_folder
        if folder is None:
            return None
        try:
            return Path(folder or tempfile.gettempdir())
        except FileNotFoundError:  # no folder is writable
            return None

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the folder of the files that processes share does not exist."""
        folder = self.options.snapshot_folder
        if not folder or Path(folder).is_dir():
            return []
        return [
            checks.Warning(
                f"Vector backend {self.alias!r}: there is no folder {folder}, so each process"
                " loads all vectors into its own memory.",
                hint="Create the folder, or correct SNAPSHOT_FOLDER.",
                id="wagtail_vector_index_numpy.W001",
            )
        ]

    def health(self) -> Health:
        """Return the numbers of collections and records, and the memory that they take."""
        collections = [each for each in list(self._by_name.values()) if not each.is_torn]
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
                "bytes": str(size),
                "numpy": version("numpy"),
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
        return f"{_FORMAT}, {sys.byteorder}-endian, quantization {self.options.quantization}"

    def _create(self, spec: CollectionSpec) -> None:
        with self._creating:
            if spec.name in self._collections():
                self._collection(spec)
            else:
                self._by_name[spec.name] = self._new_collection(spec)

    def _drop(self, spec: CollectionSpec) -> None:
        self._by_name.pop(spec.name, None)

    def _collections(self) -> list[str]:
        return [name for name, each in list(self._by_name.items()) if not each.is_torn]

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        self._collection(spec).upsert(batch)

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> None:
        self._collection(spec).delete(ids)

    def _search(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
        min_score: float | None,
    ) -> list[Match]:
        return self._collection(spec).search(vector, limit, filter, min_score)

    def _count(self, spec: CollectionSpec, filter: FilterNode | None) -> int:
        return self._collection(spec).count(filter)

    def _get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> RecordBatch:
        return self._collection(spec).get(ids)

    def _scan(self, spec: CollectionSpec, batch_size: int) -> Iterator[RecordBatch]:
        return self._collection(spec).scan(batch_size)

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        from wagtail_vector_index.contract.arrays import first_invalid, matrix

        return first_invalid(matrix(batch), spec.metric)

    def _new_collection(self, spec: CollectionSpec) -> Collection:
        from .collection import Collection

        return Collection(spec, self.options)

    def _collection(self, spec: CollectionSpec) -> Collection:
        collection = self._by_name.get(spec.name)
        if collection is None or collection.is_torn:
            raise self._shape_error(spec, None)
        if collection.spec != spec:
            raise self._shape_error(spec, collection.spec.shape)
        return collection
