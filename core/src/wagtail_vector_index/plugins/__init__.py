"""The hook marker and the data classes that plugins import.

A plugin is a distribution with an entry point in the group ``wagtail_vector_index``
whose value is a module like this::

    from wagtail_vector_index.plugins import BackendSpec, hookimpl

    API_VERSION = 1

    @hookimpl
    def vector_backends():
        return {"acme": BackendSpec(path="acme_vectors.AcmeBackend", requires=("acme",))}
"""

from __future__ import annotations

from .discovery import django_apps
from .documents import Index, PreparedDocument
from .specs import API_VERSION, BackendSpec, hookimpl

__all__ = [
    "API_VERSION",
    "BackendSpec",
    "Index",
    "PreparedDocument",
    "django_apps",
    "hookimpl",
]
