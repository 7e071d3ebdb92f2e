"""The record's models, and what a site's own models use."""

from ..fields import EmbeddingField, FilterField
from .mixin import VectorIndexedMixin
from .record import Collection, Document, Embedding, PendingChange

__all__ = [
    "Collection",
    "Document",
    "Embedding",
    "EmbeddingField",
    "FilterField",
    "PendingChange",
    "VectorIndexedMixin",
]
