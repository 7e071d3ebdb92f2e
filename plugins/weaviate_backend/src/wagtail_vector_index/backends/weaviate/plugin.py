"""The plugin that offers the Weaviate backend."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    return {
        "weaviate": BackendSpec(
            path="wagtail_vector_index.backends.weaviate.WeaviateBackend",
            requires=("weaviate", "numpy", "tenacity"),
            summary="Weaviate, in the cloud or self-hosted, one node or a cluster.",
        )
    }
