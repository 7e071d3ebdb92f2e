"""The double's gRPC interface."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import UUID

import grpc
import numpy as np
from weaviate.proto.v1 import properties_pb2, weaviate_pb2_grpc

from wagtail_vector_index.backends.weaviate.protocol import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
)

from .faults import Fault, Faults
from .matching import test_of
from .store import Collection, Refused, Store, Stored

CODES = {
    "refuse": grpc.StatusCode.UNAVAILABLE,
    "drop": grpc.StatusCode.UNAVAILABLE,
    "delay": grpc.StatusCode.UNAVAILABLE,
    "crash": grpc.StatusCode.UNAVAILABLE,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "403": grpc.StatusCode.PERMISSION_DENIED,
    "429": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "500": grpc.StatusCode.UNAVAILABLE,
}


ONLY_READS = "rbac: authorization, forbidden action: user 'reader' has insufficient permissions to"


class Service(weaviate_pb2_grpc.WeaviateServicer):
    """Answers calls out of a store."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self.faults = faults

    def Search(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._call("Search", self._search, request, context)

    def Aggregate(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._call("Aggregate", self._aggregate, request, context)

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._call("BatchObjects", self._write, request, context)

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._call("BatchDelete", self._delete, request, context)

    def _call(self, name: str, work: Any, request: Any, context: Any) -> Any:
        fault = self.faults.next(name)
        self._check_key(context)
        if self.store.settings["only_reads"] and name == "BatchDelete":
            context.abort(CODES["403"], f"{ONLY_READS} delete_data [[{request.collection}]]")
        if fault is not None and fault.kind == "delay" and fault.delay():
            fault = None
        if fault is not None and fault.kind not in ("drop", "partial", "crash"):
            self._abort(context, fault)
        try:
            if fault is not None and fault.kind == "partial":
                reply = self._write_in_part(request, fault)
            elif fault is not None and fault.kind == "crash":
                self._write(request, crash=True)
                self._abort(context, fault)
            else:
                reply = work(request)
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        if fault is not None and fault.kind == "drop":
            self._abort(context, fault)
        return reply

    def _abort(self, context: Any, fault: Fault) -> NoReturn:
        context.abort(CODES[fault.kind], fault.text)
        raise AssertionError

    def _check_key(self, context: Any) -> None:
        key = self.store.settings["key"]
        given = dict(context.invocation_metadata()).get("authorization", "")
        if key and given != f"Bearer {key}":
            context.abort(grpc.StatusCode.UNKNOWN, "extract auth: unauthorized: invalid api key")

    def _search(self, request: Any) -> Any:
        most = self.store.settings["max_results"]
        limit = request.limit or 25
        if limit > most:
            raise Refused(
                "query maximum results exceeded: the total limit calculated from the provided"
                f" offset '0' and limit '{limit}' exceeds the configured value for"
                f" QUERY_MAXIMUM_RESULTS '{most}'"
            )
        with self.store.lock:
            collection = self.store.get(request.collection)
            for name in request.properties.non_ref_properties:
                if name not in collection.types:
                    raise Refused(f"no such prop with name '{name}' found")
            for name in (*request.metadata.vectors, *request.near_vector.targets.target_vectors):
                if name != collection.vector_name:
                    raise Refused(f"class {request.collection} does not have named vector {name}")
            kept = self._kept(collection, request)
            if request.HasField("near_vector"):
                [vector] = request.near_vector.vectors
                query = np.frombuffer(vector.vector_bytes, np.float32)
                found = self.store.nearest(collection, query, kept, limit)
            else:
                found = self._listed(collection, request.after, kept, limit)
        return search_get_pb2.SearchReply(
            results=[_result(request, record, distance) for record, distance in found]
        )

    def _kept(self, collection: Collection, request: Any) -> list[int] | None:
        """The rows that match; None if there is no filter."""
        if not request.HasField("filters"):
            return None
        if getattr(request, "after", ""):
            raise Refused("where cannot be set with after and limit parameters")
        test = test_of(request.filters, collection)
        return [
            row
            for row, record in enumerate(collection.ordered())
            if record.id not in collection.unindexed and test(record)
        ]

    def _listed(
        self, collection: Collection, after: str, kept: list[int] | None, limit: int
    ) -> list[tuple[Stored, float]]:
        rows = collection.ordered()
        if kept is not None:
            rows = [rows[row] for row in kept]
        return [(row, 0.0) for row in rows if not after or row.id > after][:limit]

    def _aggregate(self, request: Any) -> Any:
        with self.store.lock:
            collection = self.store.get(request.collection)
            kept = self._kept(collection, request)
            count = len(collection.records) if kept is None else len(kept)
        single = aggregate_pb2.AggregateReply.Single(objects_count=count)
        return aggregate_pb2.AggregateReply(single_result=single)

    def _write_in_part(self, request: Any, fault: Fault) -> Any:
        """Write all but some records: those of the fault, or every second one."""
        objects = list(request.objects)
        refused = [
            row
            for row, each in enumerate(objects)
            if (each.uuid in fault.ids if fault.ids else row % 2)
        ]
        del request.objects[:]
        request.objects.extend(each for row, each in enumerate(objects) if row not in refused)
        self._write(request)
        errors = [
            batch_pb2.BatchObjectsReply.BatchError(index=row, error=fault.text) for row in refused
        ]
        return batch_pb2.BatchObjectsReply(errors=errors)

    def _write(self, request: Any, *, crash: bool = False) -> Any:
        if self.store.settings["only_reads"]:
            said = f"{ONLY_READS} update_data [[{request.objects[0].collection}]]"
            return batch_pb2.BatchObjectsReply(
                errors=[
                    batch_pb2.BatchObjectsReply.BatchError(index=row, error=said)
                    for row in range(len(request.objects))
                ]
            )
        errors: list[Any] = []
        if request.objects:
            records = [_record(each) for each in request.objects]
            found = self.store.write(request.objects[0].collection, records, crash=crash)
            errors = [
                batch_pb2.BatchObjectsReply.BatchError(index=row, error=text)
                for row, text in found.items()
            ]
        return batch_pb2.BatchObjectsReply(errors=errors)

    def _delete(self, request: Any) -> Any:
        with self.store.lock:
            collection = self.store.get(request.collection)
            test = test_of(request.filters, collection)
            indexed = (each for each in collection.ordered() if each.id not in collection.unindexed)
            ids = [record.id for record in indexed if test(record)]
            deleted = self.store.delete(request.collection, ids)
        failed = 1 if ids and not deleted else 0  # of a shard that is read-only, one is told
        return batch_delete_pb2.BatchDeleteReply(
            matches=len(ids), successful=deleted, failed=failed
        )


def _record(given: Any) -> Stored:
    [vector] = given.vectors
    properties = dict(given.properties.non_ref_properties)
    properties |= {each.prop_name: {} for each in given.properties.object_properties}
    for each in (*given.properties.text_array_properties, *given.properties.int_array_properties):
        properties[each.prop_name] = [
            float(value) if isinstance(value, int) else value for value in each.values
        ]
    return Stored(
        id=str(UUID(given.uuid)),
        properties=properties,
        vector=np.frombuffer(vector.vector_bytes, np.float32),
    )


def _result(request: Any, record: Stored, distance: float) -> Any:
    metadata = search_get_pb2.MetadataResult(id=record.id, id_as_bytes=UUID(record.id).bytes)
    if request.metadata.vectors:
        metadata.vectors.append(
            base_pb2.Vectors(
                name=request.metadata.vectors[0],
                vector_bytes=record.vector.tobytes(),
                type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32,
            )
        )
    if request.metadata.distance:
        metadata.distance, metadata.distance_present = distance, True
    fields = {
        name: properties_pb2.Value(text_value=record.properties[name])
        for name in request.properties.non_ref_properties
        if name in record.properties
    }
    return search_get_pb2.SearchResult(
        metadata=metadata,
        properties=search_get_pb2.PropertiesResult(
            non_ref_props=properties_pb2.Properties(fields=fields)
        ),
    )
