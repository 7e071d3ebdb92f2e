"""The health of a server, with the details that an operator needs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from wagtail_vector_index.backends.base import Health
from wagtail_vector_index.contract.sansio import Call, Steps
from wagtail_vector_index.exceptions import CollectionNotFound

from .messages import Messages
from .options import WeaviateOptions
from .protocol import weaviate
from .schema import class_name, own_names, shards_of
from .service import Rest, Rpc, allowed, nodes

#: A name that no collection of ours has; a request about it tests whether gRPC works.
_NO_COLLECTION = "0"


def health(options: WeaviateOptions, warn: Call) -> Steps[Health]:
    """Return versions, the state of nodes and collections, and the number of records.

    Args:
        options: the options of the alias.
        warn: the call that returns the client's warnings.
    """
    meta = yield Rest(method="get", path="/meta")
    yield from _try_grpc(options)
    schema = yield Rest(method="get", path="/schema")
    names = sorted(own_names(schema or {}, options.prefix))
    found = yield from nodes()
    details = {
        "server": options.endpoints.http,
        "grpc": options.endpoints.grpc,
        "weaviate": str(meta.get("version")),
        "client": weaviate.__version__,
        "collections": str(len(names)),
    }
    problems = [f"node {node['name']} is {node['status']}" for node in _unwell(found)]
    if found:
        details["nodes"] = ", ".join(f"{node['name']} {node['status']}" for node in found)
    for name in names:
        collection = class_name(options.prefix, name)
        request = Messages(collection, options.consistency).count(None)
        reply = yield Rpc(method="Aggregate", message=request)
        details[name] = f"{reply.single_result.objects_count:,} records"
        shards = [each for node in found for each in shards_of(node) if each["class"] == collection]
        if shards:
            details[name] += f", {_states(shards)}"
        states = yield from allowed(f"/schema/{collection}/shards")
        if any(shard.get("status") == "READONLY" for shard in states or []):
            problems.append(f"{name} is read-only")
    if warnings := (yield warn):
        details["warnings"] = "; ".join(warnings)
    message = f"Weaviate {meta.get('version')}, {len(names)} collections"
    if problems:
        message = f"{message}; {'; '.join(problems)}"
    return Health(ok=not problems, message=message, details=details)


def _try_grpc(options: WeaviateOptions) -> Steps[None]:
    collection = class_name(options.prefix, _NO_COLLECTION)
    request = Messages(collection, options.consistency).count(None)
    try:
        yield Rpc(method="Aggregate", message=request)
    except CollectionNotFound:
        return


def _unwell(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for node in nodes if node.get("status") != "HEALTHY"]


def _states(shards: list[dict[str, Any]]) -> str:
    counted = Counter(shard.get("vectorIndexingStatus", "UNKNOWN") for shard in shards)
    return ", ".join(f"{count} × {state}" for state, count in sorted(counted.items()))
