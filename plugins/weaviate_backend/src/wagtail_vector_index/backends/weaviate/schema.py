"""Makes the schemas of collections, and reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wagtail_vector_index.contract import EXACT_UP_TO, CollectionSpec, Metric, Setting

from .options import WeaviateOptions
from .properties import definitions

#: The name of each record's only vector. Collections of other programs have no vector of this
#: name, so a server refuses to search them.
VECTOR = "wagtail"

DISTANCES: dict[Metric, str] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2-squared"}

#: The quantisations that learn from stored vectors. They can be switched on only after a fill.
TRAINED = ("pq", "sq")

#: The settings of searches, the cheapest first. With -1, the server examines from 100 to 500
#: candidates, depending on the limit.
SETTINGS: tuple[Setting, ...] = tuple({"ef": ef} for ef in (-1, 256, 512, 1_024, 2_048, 4_096))

#: The server's limit of candidates if it chooses their number.
_MOST_BY_DEFAULT = 500

_MARK = "wagtail_vector_index"


def class_name(prefix: str, name: str) -> str:
    """Return the name of a collection on the server."""
    return f"{prefix}_{name}"


def definition(spec: CollectionSpec, options: WeaviateOptions) -> dict[str, Any]:
    """Return the schema that a collection is made with."""
    found: dict[str, Any] = {
        "class": class_name(options.collection_prefix, spec.name),
        "description": _described(spec),
        "vectorConfig": {
            VECTOR: {
                "vectorizer": {"none": {}},
                "vectorIndexType": options.index,
                "vectorIndexConfig": _index(spec, options),
            }
        },
        "properties": definitions(spec.fields),
        # The index of missing values cannot be added to a collection later.
        "invertedIndexConfig": {"indexNullState": True},
    }
    if options.shard_number is not None:
        found["shardingConfig"] = {"desiredCount": options.shard_number}
    if options.replication_factor is not None:
        found["replicationConfig"] = {
            "factor": options.replication_factor,
            # A node that was away gets what it missed. Servers from 1.38 on need not be asked.
            "asyncEnabled": options.replication_factor > 1,
            # A record that was deleted and sent again is there.
            "deletionStrategy": "TimeBasedResolution",
        }
    return found


def _described(spec: CollectionSpec) -> str:
    # The schema itself has neither the vectors' dimensions nor our types of fields.
    shape = {"dimensions": spec.dimensions, "metric": spec.metric, "fields": dict(spec.fields)}
    return json.dumps({_MARK: shape}, sort_keys=True)


def is_own(found: Mapping[str, Any], name: str) -> bool:
    """Return whether the backend made a collection that the server returned for this name.

    To a server, names that differ only in case are one name, and a name may be an alias.
    """
    return found["class"] == name and shape_of(found) is not None


def shape_problem(found: Mapping[str, Any], spec: CollectionSpec) -> str:
    """Return how a collection of the backend differs from a spec; empty if it does not."""
    shape = shape_of(found) or {}
    asked = json.loads(_described(spec))[_MARK]
    differing = [key for key in ("dimensions", "metric", "fields") if shape.get(key) != asked[key]]
    if not differing:
        return ""
    key = differing[0]
    return f"has {key} {json.dumps(shape.get(key))}, not {json.dumps(asked[key])}"


def shape_of(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the shape noted in a collection when it was made; None if it is not ours."""
    try:
        shape = json.loads(found.get("description") or "")[_MARK]
    except (ValueError, TypeError, KeyError):
        return None
    return shape if isinstance(shape, dict) else None


def own_names(schema: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the names of the collections with this prefix, without the prefix."""
    begin = class_name(prefix, "")
    classes = schema.get("classes") or []
    return [
        each["class"].removeprefix(begin)
        for each in classes
        if each["class"].startswith(begin) and shape_of(each) is not None
    ]


def trained(found: Mapping[str, Any], options: WeaviateOptions) -> dict[str, Any] | None:
    """Return the schema with its quantisation switched on; None if that changes nothing."""
    if options.quantization not in TRAINED:
        return None
    graph = _graph_of(found)
    if graph.get(options.quantization, {}).get("enabled", True):
        return None
    graph[options.quantization] |= _switched_on(options)
    return dict(found)


def search_settings(options: WeaviateOptions) -> Sequence[Setting]:
    """Return the settings of searches by the index, the cheapest first."""
    if options.index == "flat":
        return ()
    return SETTINGS if options.ef is None else ({"ef": options.ef},)


def tuned(found: Mapping[str, Any], setting: Setting) -> dict[str, Any] | None:
    """Return the schema with a setting of searches; None if that changes nothing."""
    graph = _graph_of(found)
    if graph.get("ef") == setting["ef"]:
        return None
    graph["ef"] = int(setting["ef"])
    return dict(found)


def _graph_of(found: Mapping[str, Any]) -> dict[str, Any]:
    vector = found["vectorConfig"][VECTOR]
    index = vector["vectorIndexConfig"]
    graph: dict[str, Any] = index["hnsw"] if vector["vectorIndexType"] == "dynamic" else index
    return graph


def _index(spec: CollectionSpec, options: WeaviateOptions) -> dict[str, Any]:
    distance = {"distance": DISTANCES[spec.metric]}
    # A server may set a default quantisation for collections that name none.
    compressed: dict[str, Any] = {"skipDefaultQuantization": True}
    if options.quantization in ("bq", "rq"):
        compressed = {options.quantization: _switched_on(options)}
    flat = distance | compressed
    graph = distance | compressed | _graph(options)
    if options.index == "dynamic":
        return distance | {"hnsw": graph, "flat": flat}
    return flat if options.index == "flat" else graph


def _graph(options: WeaviateOptions) -> dict[str, Any]:
    found = {
        "maxConnections": options.m,
        "efConstruction": options.ef_construction,
        "ef": -1 if options.ef is None else options.ef,
        "flatSearchCutoff": EXACT_UP_TO + 1,
    }
    if options.quantization != "none":
        # A search rescores exactly the candidates that it finds in the graph.
        least = options.rescore_limit
        found |= {"dynamicEfMin": least, "dynamicEfMax": max(_MOST_BY_DEFAULT, least)}
    return found


def _switched_on(options: WeaviateOptions) -> dict[str, Any]:
    return {"enabled": True, "rescoreLimit": options.rescore_limit}


def shards_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the shards that a node reports."""
    return node.get("shards") or []


def replicas_of(found: Mapping[str, Any]) -> int:
    """Return how many replicas of shards a collection has on all nodes; 0 if it does not say."""
    shards = (found.get("shardingConfig") or {}).get("actualCount") or 0
    return int(shards * ((found.get("replicationConfig") or {}).get("factor") or 1))
