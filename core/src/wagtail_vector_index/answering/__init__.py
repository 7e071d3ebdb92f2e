"""Answers to questions, with their sources."""

from .answer import Answer
from .sources import Chunk, Source

__all__ = ["Answer", "Chunk", "Source"]
