"""The plugin module: offers the vector backend ``usearch``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

# The version of the plugin API that this module is written for.
API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    """Return the vector backend that sites configure as ``usearch``."""
    return {
        "usearch": BackendSpec(
            path="usearch_wagtail_vectors.backend.UsearchBackend",
            requires=("usearch", "numpy"),
            summary="Approximate search (HNSW) in the memory of each process",
        )
    }
