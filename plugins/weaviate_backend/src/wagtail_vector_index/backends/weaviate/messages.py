"""Makes the messages of requests to a server, and reads its replies."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from wagtail_vector_index.contract import CollectionSpec, RecordBatch

from .filtering import Condition, fill
from .properties import METADATA
from .properties import fill as fill_properties
from .protocol import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
)
from .schema import VECTOR

LEVELS = {
    "ONE": base_pb2.CONSISTENCY_LEVEL_ONE,
    "QUORUM": base_pb2.CONSISTENCY_LEVEL_QUORUM,
    "ALL": base_pb2.CONSISTENCY_LEVEL_ALL,
}


class Messages:
    """Makes requests about a collection.

    Args:
        collection: the name of the collection on the server.
        consistency: how many replicas must answer.
    """

    def __init__(self, collection: str, consistency: str) -> None:
        self._collection = collection
        self._level = LEVELS[consistency]

    def nearest(
        self, vector: bytes, limit: int, condition: Condition | None, *, vectors: bool
    ) -> Any:
        """Request the ids of the records nearest to a vector, with their vectors or distances."""
        request = self._search(limit, condition)
        request.near_vector.vectors.append(_vector(vector))
        request.near_vector.targets.target_vectors.append(VECTOR)
        if vectors:
            request.metadata.vectors.append(VECTOR)
        else:
            request.metadata.distance = True
        return request

    def matching(self, limit: int, condition: Condition | None, *, metadata: bool = True) -> Any:
        """Request the records that match a filter, with their vectors and maybe metadata."""
        request = self._search(limit, condition)
        request.metadata.vectors.append(VECTOR)
        if metadata:
            request.properties.non_ref_properties.append(METADATA)
        return request

    def page(self, limit: int, after: UUID) -> Any:
        """Request the records whose ids follow ``after``, with their vectors and metadata."""
        request = self.matching(limit, None)
        request.after = str(after)
        return request

    def count(self, condition: Condition | None) -> Any:
        """Request the number of records that match."""
        request = aggregate_pb2.AggregateRequest(collection=self._collection, objects_count=True)
        if condition is not None:
            fill(request.filters, condition)
        return request

    def delete(self, condition: Condition, *, dry_run: bool = False) -> Any:
        """Request that the records that match are deleted, or only counted in a dry run."""
        request = batch_delete_pb2.BatchDeleteRequest(
            collection=self._collection, consistency_level=self._level, dry_run=dry_run
        )
        fill(request.filters, condition)
        return request

    def write(self, spec: CollectionSpec, batch: RecordBatch) -> Any:
        """Request that records are written; ``batch`` holds them as they are stored."""
        request = batch_pb2.BatchObjectsRequest(consistency_level=self._level)
        vectors, size = memoryview(batch.vectors).cast("B"), 4 * batch.dimensions
        for row, id in enumerate(batch.uuids):
            record = request.objects.add(collection=self._collection, uuid=str(id))
            record.vectors.append(_vector(vectors[row * size : (row + 1) * size].tobytes()))
            fill_properties(record.properties, id.bytes, batch.metadata[row], spec.fields)
        return request

    def _search(self, limit: int, condition: Condition | None) -> Any:
        request = search_get_pb2.SearchRequest(
            collection=self._collection,
            consistency_level=self._level,
            limit=limit,
            metadata=search_get_pb2.MetadataRequest(uuid=True),
            properties=search_get_pb2.PropertiesRequest(),
            uses_123_api=True,
            uses_125_api=True,
            uses_127_api=True,
        )
        if condition is not None:
            fill(request.filters, condition)
        return request


def ids_of(reply: Any) -> list[UUID]:
    """Return the ids in a reply to a search."""
    return [UUID(result.metadata.id) for result in reply.results]


def ids_and_vectors(reply: Any) -> tuple[list[UUID], bytes]:
    """Return the ids in a reply to a search, and the vectors, one after the other."""
    found = [result.metadata for result in reply.results]  # each access makes a new object
    vectors = [metadata.vectors[0].vector_bytes for metadata in found]
    return [UUID(metadata.id) for metadata in found], b"".join(vectors)


def batch_of(reply: Any, dimensions: int) -> RecordBatch:
    """Return the records in a reply to a search."""
    ids, vectors = ids_and_vectors(reply)
    return RecordBatch(
        ids=b"".join([id.bytes for id in ids]),
        vectors=vectors,
        metadata=[
            result.properties.non_ref_props.fields[METADATA].text_value for result in reply.results
        ],
        dimensions=dimensions,
        checked=True,
    )


def _vector(data: bytes) -> Any:
    return base_pb2.Vectors(
        name=VECTOR, vector_bytes=data, type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32
    )
