"""The plugin module: offers the vector backend ``pgvector``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    return {
        "pgvector": BackendSpec(
            path="wagtail_vector_index.backends.pgvector.backend.PgvectorBackend",
            requires=("psycopg", "numpy", "orjson"),
            django_apps=("wagtail_vector_index.backends.pgvector",),
            summary="The site's own PostgreSQL with the pgvector extension.",
            install="wagtail-vector-index-pgvector[binary]",
        )
    }
