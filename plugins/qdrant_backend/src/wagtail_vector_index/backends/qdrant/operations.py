"""Each operation of the backend but searching, as calls to a client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from qdrant_client import models

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.contract import FilterNode, slices
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)

from . import searching
from .calling import Call, Steps
from .errors import AlreadyThere, WriteRefused, WriteUnavailable
from .naming import METADATA, collection_name, key_of, own_name, vector_name
from .options import QdrantOptions
from .points import batch_of, bytes_of_vector, points_of, requests_of
from .shaping import SCHEMAS, check_shape, shape


class Operations:
    """Makes the steps of operations; none of them is taken here.

    Args:
        options: of the alias.
        where: names alias and host, for errors.
    """

    def __init__(self, options: QdrantOptions, where: str) -> None:
        self._options = options
        self._where = where
        self._as_json = not (options.grpc or options.in_memory)

    def create(self, spec: CollectionSpec) -> Steps[None]:
        """Make the collection, or what is missing of it; check one that exists."""
        try:
            info = yield self._info(spec)
        except CollectionNotFound:
            with suppress(AlreadyThere):  # another thread or process was faster
                yield self._write(spec, "create_collection", **shape(spec, self._options))
            info = yield self._info(spec)
        check_shape(spec, info, self._where)
        if self._options.in_memory:
            return
        missing = [name for name in spec.fields if key_of(name) not in info.payload_schema]
        outcomes = yield [self._payload_index(spec, name) for name in missing]
        for outcome in outcomes:
            if isinstance(outcome, BackendError):
                raise outcome

    def drop(self, spec: CollectionSpec) -> Steps[None]:
        """Delete the collection if it exists."""
        with suppress(CollectionNotFound):
            yield self._write(spec, "delete_collection", timeout=self._options.timeout)

    def collections(self) -> Steps[list[str]]:
        """The names of all collections with the prefix, without it."""
        found = yield Call(method="get_collections")
        names = (own_name(self._options.collection_prefix, each.name) for each in found.collections)
        return [name for name in names if name is not None]

    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> Steps[None]:
        """Write records, in requests of bounded size."""
        size, length = self._options.batch_size, self._options.batch_bytes
        parts = list(requests_of(batch, size, length))
        outcomes = yield [self._upsert_call(spec, part) for part in parts]
        failed = [
            (part, outcome)
            for part, outcome in zip(parts, outcomes, strict=True)
            if isinstance(outcome, BackendError)
        ]
        if failed:
            raise _unwritten(failed)

    def delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        """Delete records, in requests of bounded size."""
        for part in self._id_parts(ids):
            selector = models.PointIdsList(points=[*part])
            yield self._write(
                spec, "delete", check=self._check_done, points_selector=selector, wait=True
            )

    def search(
        self,
        spec: CollectionSpec,
        vector: memoryview,
        limit: int,
        filter: FilterNode | None,
    ) -> Steps[list[Any]]:
        """The nearest records."""
        return searching.search(spec, self._options, vector, limit, filter)

    def count(self, spec: CollectionSpec, filter: FilterNode | None) -> Steps[int]:
        """The number of records that match."""
        return int((yield searching.count(spec, self._options, filter)).count)

    def get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[RecordBatch]:
        """Those of these records that exist."""
        points: list[Any] = []
        for part in self._id_parts(ids, self._page_size(spec)):
            points += yield self._read(spec, "retrieve", ids=part, **self._whole(spec))
        return batch_of(spec, points)

    def page(self, spec: CollectionSpec, size: int, offset: Any) -> Steps[tuple[RecordBatch, Any]]:
        """Records from an offset on, and the offset of the next; None where there is none."""
        points, following = yield self._read(
            spec,
            "scroll",
            limit=min(size, self._page_size(spec)),
            offset=offset,
            **self._whole(spec),
        )
        return batch_of(spec, points), following

    def optimize(self, spec: CollectionSpec) -> Steps[None]:
        """Have vectors indexed, and wait until they are."""
        if self._options.in_memory:
            return
        threshold = models.OptimizersConfigDiff(indexing_threshold=self._options.indexing_threshold)
        yield self._write(spec, "update_collection", optimizers_config=threshold)
        info = yield self._info(spec, settled=True)
        if info.status == models.CollectionStatus.RED:
            raise BackendRefused(
                f"{self._where} cannot index {spec.name!r}: {info.optimizer_status}."
                " Look at the server's log; updating the index again tries again."
            )

    def _name(self, spec: CollectionSpec) -> str:
        return collection_name(self._options.collection_prefix, spec.name)

    def _read(self, spec: CollectionSpec, method: str, **arguments: Any) -> Call:
        given = {"collection_name": self._name(spec), **arguments}
        return Call(method=method, collection=spec.name, arguments=lambda: given)

    def _write(
        self,
        spec: CollectionSpec,
        method: str,
        *,
        check: Callable[[Any], None] | None = None,
        **arguments: Any,
    ) -> Call:
        given = {"collection_name": self._name(spec), **arguments}
        return Call(
            method=method,
            collection=spec.name,
            arguments=lambda: given,
            writes=True,
            check=check,
        )

    def _info(self, spec: CollectionSpec, *, settled: bool = False) -> Call:
        return Call(
            method="get_collection",
            collection=spec.name,
            arguments=lambda: {"collection_name": self._name(spec)},
            until=_is_settled if settled else None,
        )

    def _payload_index(self, spec: CollectionSpec, field: str) -> Call:
        schema = SCHEMAS[spec.fields[field]]
        return self._write(
            spec,
            "create_payload_index",
            field_name=key_of(field),
            field_schema=schema,
            wait=True,
        )

    def _upsert_call(self, spec: CollectionSpec, part: RecordBatch) -> Call:
        return Call(
            method="upsert",
            collection=spec.name,
            arguments=lambda: {
                "collection_name": self._name(spec),
                "points": points_of(spec, part, as_json=self._as_json),
                "wait": True,
            },
            writes=True,
            check=self._check_done,
        )

    def _whole(self, spec: CollectionSpec) -> dict[str, Any]:
        return {"with_payload": [METADATA], "with_vectors": [vector_name(spec)]}

    def _page_size(self, spec: CollectionSpec) -> int:
        fitting = self._options.batch_bytes // bytes_of_vector(spec.dimensions)
        return max(1, min(self._options.batch_size, fitting))

    def _id_parts(self, ids: Sequence[UUID], size: int | None = None) -> list[list[str]]:
        step = size or self._options.batch_size
        return [*slices([str(id) for id in ids], step)]

    def _check_done(self, result: Any) -> None:
        if result.status != models.UpdateStatus.COMPLETED:
            raise BackendUnavailable(
                f"{self._where} took records, but had not written them within"
                f" {self._options.timeout} s ({result.status.value}). Is it busy? Otherwise"
                " raise TIMEOUT."
            )


def _is_settled(info: models.CollectionInfo) -> bool:
    return info.status in (models.CollectionStatus.GREEN, models.CollectionStatus.RED)


def _unwritten(failed: list[tuple[RecordBatch, BackendError]]) -> BackendError:
    """The error for the parts of a batch that were not written."""
    first = failed[0][1]
    if isinstance(first, (CollectionNotFound, CollectionMismatch)):
        return first
    kind = WriteUnavailable if isinstance(first, BackendUnavailable) else WriteRefused
    error = kind(str(first), [id for part, _ in failed for id in part.uuids])
    error.__cause__ = first
    return error
