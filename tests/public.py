"""The public modules, whose ``__all__`` is promised to users and documented on the API page."""

from __future__ import annotations

FOR_SITES = (
    "wagtail_vector_index.admin.panels",
    "wagtail_vector_index.api",
    "wagtail_vector_index.exceptions",
    "wagtail_vector_index.handlers",
    "wagtail_vector_index.indexes",
    "wagtail_vector_index.models",
    "wagtail_vector_index.plugins",
)

#: All that a plugin may import; its tests may import `wagtail_vector_index.testing` as well.
FOR_AUTHORS = (
    "wagtail_vector_index.backends.base",
    "wagtail_vector_index.chat.base",
    "wagtail_vector_index.contract",
    "wagtail_vector_index.contract.arrays",
    "wagtail_vector_index.contract.rescoring",
    "wagtail_vector_index.contract.sansio",
    "wagtail_vector_index.contract.services",
    "wagtail_vector_index.contract.sql",
    "wagtail_vector_index.contract.sqlite",
    "wagtail_vector_index.embeddings.base",
    "wagtail_vector_index.exceptions",
    "wagtail_vector_index.handlers",
    "wagtail_vector_index.models",
    "wagtail_vector_index.plugins",
    "wagtail_vector_index.reranking.base",
)

PUBLIC = tuple(sorted({*FOR_SITES, *FOR_AUTHORS, "wagtail_vector_index.testing"}))
