"""From a question to an answer with its sources."""

from .answer import Answer
from .sources import Chunk, Source

__all__ = ["Answer", "Chunk", "Source"]
