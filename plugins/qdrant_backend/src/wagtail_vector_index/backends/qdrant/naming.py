"""What collections, vectors and fields are called in the server."""

from __future__ import annotations

import json
from hashlib import blake2s

from wagtail_vector_index.contract import CollectionSpec, check_name
from wagtail_vector_index.exceptions import InvalidSpec

#: The key of a payload that holds all metadata, as JSON text: so it comes back as it was.
METADATA = "metadata"

#: Stands between the prefix and the name of a collection, which never holds it.
_BETWEEN = "__"


def collection_name(prefix: str, name: str) -> str:
    """The name of a collection in the server."""
    return f"{prefix}{_BETWEEN}{name}"


def own_name(prefix: str, found: str) -> str | None:
    """The name of a collection of the server without the prefix; None if it isn't ours."""
    name = found.removeprefix(f"{prefix}{_BETWEEN}")
    if name == found:
        return None
    try:
        check_name(name, "collection name")
    except InvalidSpec:
        return None
    return name


def key_of(field: str) -> str:
    """The key of a filter field in payloads; it is never `METADATA`."""
    return f"f_{field}"


def vector_name(spec: CollectionSpec) -> str:
    """The name of a collection's vectors, which tells the names and types of its fields.

    A server remembers neither whether a field is a list, nor which fields a collection
    whose creation was cut short was to have. The name of the vectors is given together
    with the collection, and never changes.
    """
    fields = json.dumps(sorted(spec.fields.items()))
    return f"v{blake2s(fields.encode(), digest_size=8).hexdigest()}"
