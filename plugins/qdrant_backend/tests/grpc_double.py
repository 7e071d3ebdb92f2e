"""The double's gRPC interface, built on the servicer classes that qdrant-client ships.

Each request becomes the equivalent REST request, so everything in `double` applies here too,
including its faults except dropped connections.
"""

# ruff: noqa: N802  # the names are those of the protocol

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc as grpcio
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc.collections_service_pb2_grpc import (
    CollectionsServicer,
    add_CollectionsServicer_to_server,
)
from qdrant_client.grpc.points_service_pb2_grpc import (
    PointsServicer,
    add_PointsServicer_to_server,
)
from qdrant_client.grpc.qdrant_pb2_grpc import QdrantServicer, add_QdrantServicer_to_server

from plugins.qdrant_backend.tests.double import Double, Refusal, Request

CODES = {
    400: grpcio.StatusCode.INVALID_ARGUMENT,
    401: grpcio.StatusCode.UNAUTHENTICATED,
    403: grpcio.StatusCode.PERMISSION_DENIED,
    404: grpcio.StatusCode.NOT_FOUND,
    408: grpcio.StatusCode.DEADLINE_EXCEEDED,
    409: grpcio.StatusCode.ALREADY_EXISTS,
    412: grpcio.StatusCode.FAILED_PRECONDITION,
    429: grpcio.StatusCode.RESOURCE_EXHAUSTED,
    500: grpcio.StatusCode.INTERNAL,
    503: grpcio.StatusCode.UNAVAILABLE,
}


@contextmanager
def grpc_door(double: Double, credentials: Any = None) -> Iterator[int]:
    """The port on which a double speaks gRPC; over TLS, if it is given credentials."""
    server = grpcio.server(ThreadPoolExecutor(16))
    add_CollectionsServicer_to_server(_Collections(double), server)
    add_PointsServicer_to_server(_Points(double), server)
    add_QdrantServicer_to_server(_Root(double), server)
    address = "127.0.0.1:0"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


class _Door:
    def __init__(self, double: Double) -> None:
        self.double = double

    def ask(
        self,
        context: Any,
        method: str,
        path: str,
        body: Any = None,
        made: Any = lambda it: it,
        *,
        read: Any = None,
        waits: Any = None,
    ) -> Any:
        headers = dict(context.invocation_metadata())
        keys = (self.double.api_key, self.double.read_only_key)
        if self.double.api_key and headers.get("api-key") not in keys:
            context.abort(CODES[401], "Invalid API key or JWT")
        query = {"timeout": str(waits.timeout)} if waits else _query(read)
        request = Request(
            method=method, path=path, query=query, headers=headers, body=_plain(body) or {}
        )
        self.double.requests.append(request)
        fault = self.double.fault(request)
        if fault is not None and fault.wait is not None:
            fault.wait.wait(10)
        if fault is not None and fault.status:
            context.abort(CODES[fault.status], fault.says)
        try:
            return made(self.double.answer(request))
        except Refusal as refusal:
            context.abort(CODES[refusal.status], str(refusal))


class _Root(_Door, QdrantServicer):  # type: ignore[misc]
    def HealthCheck(self, request: Any, context: Any) -> Any:
        return self.ask(context, "GET", "/", None, lambda found: grpc.HealthCheckReply(**found))


class _Collections(_Door, CollectionsServicer):  # type: ignore[misc]
    def List(self, request: Any, context: Any) -> Any:
        def made(found: Any) -> Any:
            named = [grpc.CollectionDescription(name=each["name"]) for each in found["collections"]]
            return grpc.ListCollectionsResponse(collections=named)

        return self.ask(context, "GET", "/collections", None, made)

    def Get(self, request: Any, context: Any) -> Any:
        def made(found: Any) -> Any:
            info = models.CollectionInfo.model_validate(found)
            return grpc.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

        return self.ask(context, "GET", f"/collections/{request.collection_name}", None, made)

    def Create(self, request: Any, context: Any) -> Any:
        body = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config),
        )
        path = f"/collections/{request.collection_name}"
        return self.ask(context, "PUT", path, body, _done, waits=request)

    def Update(self, request: Any, context: Any) -> Any:
        params = models.CollectionParamsDiff(
            read_fan_out_factor=request.params.read_fan_out_factor or None
        )
        body = models.UpdateCollection(
            params=params if request.HasField("params") else None,
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config)
            if request.HasField("optimizers_config")
            else None,
        )
        return self.ask(context, "PATCH", f"/collections/{request.collection_name}", body, _done)

    def Delete(self, request: Any, context: Any) -> Any:
        return self.ask(context, "DELETE", f"/collections/{request.collection_name}", None, _done)

    def ListAliases(self, request: Any, context: Any) -> Any:
        def made(found: Any) -> Any:
            return grpc.ListAliasesResponse(
                aliases=[grpc.AliasDescription(**each) for each in found["aliases"]]
            )

        return self.ask(context, "GET", "/aliases", None, made)

    def UpdateAliases(self, request: Any, context: Any) -> Any:
        return self.ask(context, "POST", "/collections/aliases", {"actions": []}, _done)


class _Points(_Door, PointsServicer):  # type: ignore[misc]
    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        type_ = grpc.FieldType.Name(request.field_type)
        body = {
            "field_name": request.field_name,
            "field_schema": type_.removeprefix("FieldType").lower(),
        }
        path = f"/collections/{request.collection_name}/index"
        return self.ask(context, "PUT", path, body, _operated)

    def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        names = points[0].vector
        batch = {
            "ids": [point.id for point in points],
            "vectors": {name: [point.vector[name] for point in points] for name in names},
            "payloads": [point.payload for point in points],
        }
        path = f"/collections/{request.collection_name}/points"
        return self.ask(context, "PUT", path, {"batch": batch}, _operated)

    def Delete(self, request: Any, context: Any) -> Any:
        body = GrpcToRest.convert_points_selector(request.points)
        path = f"/collections/{request.collection_name}/points/delete"
        return self.ask(context, "POST", path, body, _operated)

    def Get(self, request: Any, context: Any) -> Any:
        body = {
            "ids": [GrpcToRest.convert_point_id(id) for id in request.ids],
            **_selected(request),
        }
        path = f"/collections/{request.collection_name}/points"
        return self.ask(
            context,
            "POST",
            path,
            body,
            lambda found: grpc.GetResponse(result=_records(found)),
            read=request,
        )

    def Scroll(self, request: Any, context: Any) -> Any:
        body = {"limit": request.limit, **_selected(request)}
        if request.HasField("offset"):
            body["offset"] = GrpcToRest.convert_point_id(request.offset)

        def made(found: Any) -> Any:
            following = found["next_page_offset"]
            offset = None if following is None else RestToGrpc.convert_extended_point_id(following)
            return grpc.ScrollResponse(result=_records(found["points"]), next_page_offset=offset)

        path = f"/collections/{request.collection_name}/points/scroll"
        return self.ask(context, "POST", path, body, made, read=request)

    def Count(self, request: Any, context: Any) -> Any:
        body = {"filter": _filter(request), "exact": request.exact}

        def made(found: Any) -> Any:
            return grpc.CountResponse(result=grpc.CountResult(count=found["count"]))

        path = f"/collections/{request.collection_name}/points/count"
        return self.ask(context, "POST", path, body, made, read=request)

    def Query(self, request: Any, context: Any) -> Any:
        body = {
            "query": _plain(GrpcToRest.convert_query(request.query)),
            "using": request.using,
            "filter": _filter(request),
            "limit": request.limit,
            "params": _plain(GrpcToRest.convert_search_params(request.params)),
            **_selected(request),
        }

        def made(found: Any) -> Any:
            points = [models.ScoredPoint(**each) for each in found["points"]]
            return grpc.QueryResponse(
                result=[RestToGrpc.convert_scored_point(point) for point in points]
            )

        path = f"/collections/{request.collection_name}/points/query"
        return self.ask(context, "POST", path, body, made, read=request)


def _query(read: Any) -> dict[str, str]:
    """The query of a URL that has the same consistency as a request that reads."""
    if read is None or not read.HasField("read_consistency"):
        return {}
    asked = read.read_consistency
    if asked.HasField("factor"):
        return {"consistency": str(asked.factor)}
    return {"consistency": grpc.ReadConsistencyType.Name(asked.type).lower()}


def _filter(request: Any) -> Any:
    if not request.HasField("filter"):
        return None
    return _without_empty(_plain(GrpcToRest.convert_filter(request.filter)))


def _without_empty(part: Any) -> Any:
    """Without the empty lists of conditions that gRPC has for none: local mode once took them
    for lists of which nothing holds."""
    if isinstance(part, list):
        return [_without_empty(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _without_empty(value)
        for key, value in part.items()
        if value != [] or key not in ("must", "should", "must_not")
    }


def _selected(request: Any) -> dict[str, Any]:
    return {
        "with_payload": _plain(GrpcToRest.convert_with_payload_selector(request.with_payload)),
        "with_vector": GrpcToRest.convert_with_vectors_selector(request.with_vectors),
    }


def _records(found: list[dict[str, Any]]) -> list[Any]:
    # Over gRPC, a point without a payload has an empty one.
    filled = [{**each, "payload": each.get("payload") or {}} for each in found]
    return [RestToGrpc.convert_record(models.Record.model_validate(each)) for each in filled]


def _done(result: bool) -> Any:
    return grpc.CollectionOperationResponse(result=result)


def _operated(result: dict[str, Any]) -> Any:
    update = models.UpdateResult.model_validate(result)
    return grpc.PointsOperationResponse(result=RestToGrpc.convert_update_result(update))


def _plain(body: Any) -> Any:
    """A request as JSON, which has but one way to say it."""
    if hasattr(body, "model_dump_json"):
        return json.loads(body.model_dump_json(exclude_none=True))
    return body
