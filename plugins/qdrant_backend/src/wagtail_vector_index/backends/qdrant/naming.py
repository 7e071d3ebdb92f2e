"""The names of collections, vectors and fields on the server."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import blake2s

from wagtail_vector_index.contract import CollectionSpec, FieldType, check_name
from wagtail_vector_index.exceptions import InvalidSpec

#: The key of a payload that holds all metadata as JSON text, so that reads return it unchanged.
METADATA = "metadata"

#: Separates the prefix from the name of a collection; no name contains it.
_BETWEEN = "__"

_VECTOR_NAME = re.compile(r"v[0-9a-f]{16}")


def collection_name(prefix: str, name: str) -> str:
    """Return the name of a collection on the server."""
    return f"{prefix}{_BETWEEN}{name}"


def own_name(prefix: str, found: str) -> str | None:
    """Return a server's name of a collection without the prefix; None if it is not ours."""
    name = found.removeprefix(f"{prefix}{_BETWEEN}")
    if name == found:
        return None
    try:
        check_name(name, "collection name")
    except InvalidSpec:
        return None
    return name


def key_of(field: str) -> str:
    """Return the key of a filter field in payloads, which is never `METADATA`."""
    return f"f_{field}"


def vector_name(spec: CollectionSpec) -> str:
    """Return the name of a collection's vectors: a hash of the names and types of its fields.

    A server does not store whether a field is a list. After an interrupted creation, it does
    not know which fields the collection should have. The name of the vectors is set when the
    collection is created, and never changes.
    """
    return _hash_name(tuple(sorted(spec.fields.items())))


@lru_cache(maxsize=128)  # each search needs it
def _hash_name(fields: tuple[tuple[str, FieldType], ...]) -> str:
    return f"v{blake2s(json.dumps(fields).encode(), digest_size=8).hexdigest()}"


def is_vector_name(name: str) -> bool:
    """Return whether `vector_name` may have made a name, which marks collections as our own."""
    return _VECTOR_NAME.fullmatch(name) is not None
