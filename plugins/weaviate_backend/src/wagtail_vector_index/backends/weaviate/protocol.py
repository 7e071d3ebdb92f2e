"""What the client ships of Weaviate's protocol: its messages. Importing this imports the client."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # A library of the client's warns of another as soon as it is imported; nobody who uses
    # a vector backend can do anything about that.
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
