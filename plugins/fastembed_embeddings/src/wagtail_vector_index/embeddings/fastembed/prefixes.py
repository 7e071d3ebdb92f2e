"""The texts that models expect before queries and documents, as their authors trained them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Prefixes", "prefixes_of"]


class Prefixes(NamedTuple):
    """What goes before a query, and before a document."""

    query: str = ""
    document: str = ""


_PASSAGES = Prefixes("Represent this sentence for searching relevant passages: ")
_E5 = Prefixes("query: ", "passage: ")
_INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query"
)

#: By the beginning of the model's name, in small letters.
_FAMILIES = {
    "baai/bge-base-en": _PASSAGES,
    "baai/bge-large-en": _PASSAGES,
    "baai/bge-small-en": _PASSAGES,
    "baai/bge-small-zh": Prefixes("为这个句子生成表示以用于检索相关文章\uff1a"),
    "google/embeddinggemma": Prefixes("task: search result | query: ", "title: none | text: "),
    "intfloat/e5": _E5,
    "intfloat/multilingual-e5": _E5,
    "mixedbread-ai/mxbai-embed-large": _PASSAGES,
    "nomic-ai/nomic-embed-text": Prefixes("search_query: ", "search_document: "),
    "qdrant/stella-en": Prefixes(f"{_INSTRUCTION}.\nQuery: "),
    "qwen/qwen3-embedding": Prefixes(f"{_INSTRUCTION}\nQuery:"),
    "snowflake/snowflake-arctic-embed": _PASSAGES,
}


def prefixes_of(model: str) -> Prefixes:
    """Return the prefixes of a model, which are empty for most models."""
    name = model.lower()
    found = (prefixes for start, prefixes in _FAMILIES.items() if name.startswith(start))
    return next(found, Prefixes())
