"""The health of a server, with the details that an operator needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from wagtail_vector_index.backends.base import Health
from wagtail_vector_index.contract.sansio import Call, Steps
from wagtail_vector_index.exceptions import BackendRefused, CollectionNotFound

from .filtering import with_ids
from .messages import Messages
from .options import WeaviateOptions
from .protocol import weaviate
from .schema import class_name, own_names, replicas_of, shards_of
from .service import Rest, Rpc, allowed, nodes, statistics

#: A name that no collection of ours has. Requests about it test gRPC and the key's permissions.
_NO_COLLECTION = "0"

#: What a server answers only with a permission that the operations do without, and what is lost
#: if it does not.
_NODES = (
    "/nodes cannot be read (the key needs the permission read_nodes), so nodes and replicas that"
    " are missing are not reported, and writes do not wait for a server that indexes in the"
    " background"
)
_STATISTICS = (
    "/cluster/statistics cannot be read (the key needs the permission read_cluster), so missing"
    " nodes are not reported, and a restart of the server is not noticed, so nothing is verified"
    " after it"
)


def health(options: WeaviateOptions, warn: Call) -> Steps[Health]:
    """Return versions, the state of nodes and collections, and the number of records.

    A key may lack the permission to read nodes. That is no problem, but the message says what is
    lost by it.

    Args:
        options: the options of the alias.
        warn: the call that returns the client's warnings.
    """
    meta = yield Rest(method="get", path="/meta")
    yield from _try_grpc(options)
    schema = yield Rest(method="get", path="/schema")
    names = sorted(own_names(schema or {}, options.collection_prefix))
    classes = {each["class"]: each for each in (schema or {}).get("classes") or []}
    found = yield from nodes()
    servers = yield from statistics()
    details = {
        "server": options.endpoints.http,
        "grpc": options.endpoints.grpc,
        "weaviate": str(meta.get("version")),
        "client": weaviate.__version__,
        "collections": str(len(names)),
    }
    problems = [*_problems_of_nodes(found), *_missing(servers, found)]
    problems += yield from _problems_of_writing(options)
    # A server lists at least itself.
    unread = [lost for answer, lost in ((found, _NODES), (servers, _STATISTICS)) if not answer]
    if unread:
        details["permissions"] = "; ".join(unread)
    if found:
        details["nodes"] = ", ".join(f"{node['name']} {node['status']}" for node in found)
    for name in names:
        collection = class_name(options.collection_prefix, name)
        request = Messages(collection, options.consistency).count(None)
        reply = yield Rpc(method="Aggregate", message=request)
        details[name] = f"{reply.single_result.objects_count:,} records"
        shards = [each for node in found for each in shards_of(node) if each["class"] == collection]
        if shards:
            details[name] += f", {_states(shards)}"
            wanted = replicas_of(classes[collection])
            if len(shards) < wanted:
                problems.append(f"{name} has {len(shards)} of {wanted} replicas of its shards")
        states = yield from allowed(f"/schema/{collection}/shards")
        # Each node has a disk and a status of its own; the second request asks one of them.
        told = [each.get("vectorIndexingStatus") for each in shards]
        told += [each.get("status") for each in states or []]
        if "READONLY" in told:
            problems.append(f"{name} is read-only: check the disk and the memory of the server")
    if warnings := (yield warn):
        details["warnings"] = "; ".join(warnings)
    first = f"Weaviate {meta.get('version')}, {len(names)} collections"
    message = "; ".join([first, *problems, *unread])
    return Health(ok=not problems, message=message, details=details)


def _try_grpc(options: WeaviateOptions) -> Steps[None]:
    collection = class_name(options.collection_prefix, _NO_COLLECTION)
    request = Messages(collection, options.consistency).count(None)
    try:
        yield Rpc(method="Aggregate", message=request)
    except CollectionNotFound:
        return


def _problems_of_writing(options: WeaviateOptions) -> Steps[list[str]]:
    """Return why records cannot be changed, found by a dry run that deletes nothing."""
    collection = class_name(options.collection_prefix, _NO_COLLECTION)
    nothing = with_ids([str(UUID(int=0))])
    request = Messages(collection, options.consistency).delete(nothing, dry_run=True)
    try:
        yield Rpc(method="BatchDelete", message=request)
    except CollectionNotFound:
        return []  # the server has checked the key before it looked for the collection
    except BackendRefused as error:
        return [f"it cannot be changed: {error}"]
    return []


def _problems_of_nodes(nodes: list[dict[str, Any]]) -> Iterator[str]:
    for node in nodes:
        if node.get("status") != "HEALTHY":
            yield f"node {node['name']} is {node.get('status')}"
        elif (mode := node.get("operationalMode") or "ReadWrite") != "ReadWrite":
            yield f"node {node['name']} is in the mode {mode}"


def _missing(servers: list[dict[str, Any]], nodes: list[dict[str, Any]]) -> list[str]:
    """Return a problem for each member of the cluster that the list of nodes lacks.

    A node that was away for some seconds is no longer listed, but stays a member.
    """
    members = {
        member["id"]
        for server in servers
        for member in (server.get("raft") or {}).get("latestConfiguration") or []
    }
    listed = {node["name"] for node in nodes}
    return [f"node {name} is missing" for name in sorted(members - listed)] if listed else []


def _states(shards: list[dict[str, Any]]) -> str:
    counted = Counter(shard.get("vectorIndexingStatus", "UNKNOWN") for shard in shards)
    return ", ".join(f"{count} × {state}" for state, count in sorted(counted.items()))
