"""The backends that the settings name, by alias.

Example::

    from wagtail_vector_index.handlers import vector_backends

    vector_backends["default"].search(spec, vector)
"""

from .plugins.handlers import (
    chat_backends,
    embedding_backends,
    reranking_backends,
    vector_backends,
)

__all__ = ["chat_backends", "embedding_backends", "reranking_backends", "vector_backends"]
