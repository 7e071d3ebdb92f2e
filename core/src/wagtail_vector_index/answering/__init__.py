"""From a question to an answer with its sources."""

from .answer import Answer
from .sources import Passage, Source

__all__ = ["Answer", "Passage", "Source"]
