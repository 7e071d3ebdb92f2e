"""The plugin module: offers the vector backend ``sqlitevec``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

# The version of the plugin API that this module is written for.
API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    """Return the vector backend that sites configure as ``sqlitevec``."""
    return {
        "sqlitevec": BackendSpec(
            path="sqlitevec_wagtail_vectors.backend.SqliteVecBackend",
            requires=("apsw", "sqlite_vec", "numpy"),
            summary="Exact search by sqlite-vec in one SQLite file",
        )
    }
