"""The indexes that a site declares, and the results of searching them."""

from ..answering import Answer, Chunk, Source
from ..content.text.splitting import TextSplitter
from ..indexing.status import IndexStatus, status_of
from ..search.excerpts import Excerpt
from ..search.results import SearchResults
from .base import VectorIndex
from .pages import PageVectorIndex
from .registry import all_indexes, get_index

__all__ = [
    "Answer",
    "Chunk",
    "Excerpt",
    "IndexStatus",
    "PageVectorIndex",
    "SearchResults",
    "Source",
    "TextSplitter",
    "VectorIndex",
    "all_indexes",
    "get_index",
    "status_of",
]
