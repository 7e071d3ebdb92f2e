"""The plugin module: offers the vector backend ``numpy``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def vector_backends() -> dict[str, BackendSpec]:
    return {
        "numpy": BackendSpec(
            path="wagtail_vector_index.backends.numpy.NumpyBackend",
            requires=("numpy",),
            summary="Exact search in the memory of each process: no service to run",
        )
    }
