"""The record's models, and what a site's own models use."""

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
