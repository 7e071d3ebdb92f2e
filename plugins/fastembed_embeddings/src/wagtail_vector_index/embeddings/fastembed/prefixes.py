"""The texts that models expect before queries and documents, as their authors trained them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Prefixes", "prefixes_in", "prefixes_of"]


class Prefixes(NamedTuple):
    """What goes before a query, and before a document."""

    query: str = ""
    document: str = ""


_PASSAGES = Prefixes("Represent this sentence for searching relevant passages: ")
_E5 = Prefixes("query: ", "passage: ")
_INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query"
)

#: The forms of one model, whose prefixes are the same.
_FORMS = r"(?:-(?:onnx|q|quantized|u?int8|fp16|fp32|o[1-4]))*"

#: By the whole name of the models, in small letters, without their form.
_FAMILIES = {
    r"baai/bge-(?:small|base|large)-en(?:-v1\.5)?": _PASSAGES,
    r"baai/bge-(?:small|base|large)-zh(?:-v1\.5)?": Prefixes(
        "为这个句子生成表示以用于检索相关文章\uff1a"
    ),
    r"google/embeddinggemma(?:-\w+)?": Prefixes(
        "task: search result | query: ", "title: none | text: "
    ),
    r"intfloat/e5-(?:small|base|large)(?:-v2|-unsupervised)?": _E5,
    r"intfloat/multilingual-e5-(?:small|base|large)": _E5,
    r"intfloat/(?:multilingual-e5-large|e5-mistral-7b)-instruct": Prefixes(
        f"{_INSTRUCTION}\nQuery: "
    ),
    r"mixedbread-ai/mxbai-embed-large(?:-v1)?": _PASSAGES,
    r"nomic-ai/nomic-embed-text(?:-v[12](?:\.5|-moe)?)?": Prefixes(
        "search_query: ", "search_document: "
    ),
    r"qdrant/stella-en(?:-[\w.]+)*": Prefixes(f"{_INSTRUCTION}.\nQuery: "),
    r"qwen/qwen3-embedding(?:-[\d.]+b)?": Prefixes(f"{_INSTRUCTION}\nQuery:"),
    r"snowflake/snowflake-arctic-embed-(?:xs|s|m|m-long|l)(?:-v1\.5)?": _PASSAGES,
    r"snowflake/snowflake-arctic-embed-[ml]-v2\.0": Prefixes("query: "),
}

#: The file in which the library sentence-transformers keeps the prefixes of a model.
_FILE = "config_sentence_transformers.json"


def prefixes_of(model: str) -> Prefixes:
    """Return the prefixes of a model by its name, which are empty for most models."""
    name = model.lower()
    for family, prefixes in _FAMILIES.items():
        if re.fullmatch(family + _FORMS, name):
            return prefixes
    return Prefixes()


def prefixes_in(folder: Path) -> Prefixes | None:
    """Return the prefixes in the folder of a model, or None if its files don't say.

    Many folders have the file, but only with empty prefixes, which their model may need all the
    same.
    """
    try:
        config = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        prompts = config["prompts"]
        document = prompts.get("document") or prompts.get("passage") or ""
        found = Prefixes(str(prompts.get("query") or ""), str(document))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found if any(found) else None
