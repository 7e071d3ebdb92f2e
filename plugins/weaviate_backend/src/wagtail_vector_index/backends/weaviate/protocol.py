"""The messages of Weaviate's protocol, from the client. Importing this imports the client."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Importing a library of the client raises a warning about another library. A user of
    # the backend cannot fix that.
    warnings.simplefilter("ignore")
    import weaviate
    from weaviate.proto.v1 import (
        aggregate_pb2,
        base_pb2,
        base_search_pb2,
        batch_delete_pb2,
        batch_pb2,
        search_get_pb2,
    )

__all__ = [
    "aggregate_pb2",
    "base_pb2",
    "base_search_pb2",
    "batch_delete_pb2",
    "batch_pb2",
    "search_get_pb2",
    "weaviate",
]
