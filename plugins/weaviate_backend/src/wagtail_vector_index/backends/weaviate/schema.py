"""Collections as Weaviate's schema has them, and what it tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wagtail_vector_index.contract import EXACT_UP_TO, CollectionSpec, Metric

from .options import WeaviateOptions
from .properties import definitions

#: The name of the one vector that each record has.
VECTOR = "default"

DISTANCES: dict[Metric, str] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2-squared"}

#: Learn from the vectors that are there, so they can only be switched on once there are some.
TRAINED = ("pq", "sq")

#: The server's own limit of candidates where it chooses how many there are.
_MOST_BY_DEFAULT = 500

_MARK = "wagtail_vector_index"


def class_name(prefix: str, name: str) -> str:
    """The name of a collection on the server."""
    return f"{prefix}_{name}"


def definition(spec: CollectionSpec, options: WeaviateOptions) -> dict[str, Any]:
    """The schema that a collection is made with."""
    found: dict[str, Any] = {
        "class": class_name(options.prefix, spec.name),
        "description": _described(spec),
        "vectorConfig": {
            VECTOR: {
                "vectorizer": {"none": {}},
                "vectorIndexType": options.index,
                "vectorIndexConfig": _index(spec, options),
            }
        },
        "properties": definitions(spec.fields),
        # Whether there is a value must be indexed from the start; it cannot be added later.
        "invertedIndexConfig": {"indexNullState": True},
    }
    if options.shards is not None:
        found["shardingConfig"] = {"desiredCount": options.shards}
    if options.replicas is not None:
        found["replicationConfig"] = {"factor": options.replicas}
    return found


def _described(spec: CollectionSpec) -> str:
    # The schema does not hold how long vectors are, nor the types of fields as we know them.
    told = {"dimensions": spec.dimensions, "metric": spec.metric, "fields": dict(spec.fields)}
    return json.dumps({_MARK: told}, sort_keys=True)


def shape_problem(found: Mapping[str, Any], spec: CollectionSpec) -> str:
    """How a collection on the server differs from a spec; empty if it does not."""
    told = shape_of(found)
    if told is None:
        return "was made by something else"
    asked = json.loads(_described(spec))[_MARK]
    differing = [key for key in ("dimensions", "metric", "fields") if told.get(key) != asked[key]]
    if not differing:
        return ""
    key = differing[0]
    return f"has {key} {json.dumps(told.get(key))}, not {json.dumps(asked[key])}"


def shape_of(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was noted of a spec when the collection was made; None if it is not ours."""
    try:
        told = json.loads(found.get("description") or "")[_MARK]
    except (ValueError, TypeError, KeyError):
        return None
    return told if isinstance(told, dict) else None


def own_names(schema: Mapping[str, Any], prefix: str) -> list[str]:
    """The names of the collections of this prefix."""
    begin = class_name(prefix, "")
    classes = schema.get("classes") or []
    return [
        each["class"].removeprefix(begin)
        for each in classes
        if each["class"].startswith(begin) and shape_of(each) is not None
    ]


def trained(found: Mapping[str, Any], options: WeaviateOptions) -> dict[str, Any] | None:
    """The schema with its quantisation switched on; None if there is nothing to switch."""
    if options.quantization not in TRAINED:
        return None
    vector = found["vectorConfig"][VECTOR]
    index = vector["vectorIndexConfig"]
    graph = index["hnsw"] if vector["vectorIndexType"] == "dynamic" else index
    if graph.get(options.quantization, {}).get("enabled", True):
        return None
    graph[options.quantization] |= _switched_on(options)
    return dict(found)


def _index(spec: CollectionSpec, options: WeaviateOptions) -> dict[str, Any]:
    distance = {"distance": DISTANCES[spec.metric]}
    # A server may have a quantisation of its own for whoever asks for none.
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
        "ef": options.ef,
        "flatSearchCutoff": EXACT_UP_TO + 1,
    }
    if options.quantization != "none":
        # All that a graph's search looks at is compared, and nothing beyond it.
        least = options.rescore_limit
        found |= {"dynamicEfMin": least, "dynamicEfMax": max(_MOST_BY_DEFAULT, least)}
    return found


def _switched_on(options: WeaviateOptions) -> dict[str, Any]:
    return {"enabled": True, "rescoreLimit": options.rescore_limit}


def shards_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    """What a node tells of its shards."""
    return node.get("shards") or []
