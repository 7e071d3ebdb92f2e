"""The plugin that offers the Qdrant backend."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    """Return the vector backend ``qdrant``."""
    return {
        "qdrant": BackendSpec(
            path="wagtail_vector_index.backends.qdrant.QdrantBackend",
            requires=("qdrant_client", "numpy", "orjson", "tenacity"),
            summary="Qdrant, in the cloud or self-hosted; or in the process's memory.",
        )
    }
