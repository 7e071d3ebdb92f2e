"""The models of the index tables, and the classes that a site's own models use."""

from ..content.fields import EmbeddingField, FilterField
from .mixin import VectorIndexedMixin
from .tables import Collection, Document, Embedding, PendingChange

__all__ = [
    "Collection",
    "Document",
    "Embedding",
    "EmbeddingField",
    "FilterField",
    "PendingChange",
    "VectorIndexedMixin",
]
