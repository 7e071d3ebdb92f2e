"""What a site declares: which content is found by meaning, and how."""

from .base import VectorIndex
from .pages import PageVectorIndex

__all__ = ["PageVectorIndex", "VectorIndex"]
