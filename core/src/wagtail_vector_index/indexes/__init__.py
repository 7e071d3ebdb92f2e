"""The indexes that a site declares, and the results of searching them."""

from ..answering import Answer, Chunk, Source
from ..content.declaration import Fusion
from ..content.text.splitting import TextSplitter
from ..indexing.problems import Problem
from ..indexing.status import IndexStatus, status_of
from ..search.excerpts import Excerpt
from ..search.hybrid_search import Mode
from ..search.results import SearchResults
from .base import VectorIndex
from .pages import PageVectorIndex
from .registry import all_indexes, get_index

__all__ = [
    "Answer",
    "Chunk",
    "Excerpt",
    "Fusion",
    "IndexStatus",
    "Mode",
    "PageVectorIndex",
    "Problem",
    "SearchResults",
    "Source",
    "TextSplitter",
    "VectorIndex",
    "all_indexes",
    "get_index",
    "status_of",
]
