"""Reads the answer of a service: one score for each text, in any order."""

from __future__ import annotations

import json
import sys
from typing import Any

from wagtail_vector_index.embeddings.openai.answers import BadAnswer, in_order, json_of


def read_scores(content: bytes, count: int) -> list[float]:
    """Return the scores of an answer in the order of the texts.

    Services agree but for names: Cohere and Jina return ``results``, Voyage ``data``, and TEI
    the list itself, with ``score`` instead of ``relevance_score``.

    Args:
        content: the answer, as JSON.
        count: how many texts were sent.

    Raises:
        BadAnswer: the answer does not follow the protocol, or has a wrong number or order of
            scores, or a score that is not a finite number.
    """
    return in_order(_items(content), count, "scores", _score)


def _items(content: bytes) -> list[dict[str, Any]]:
    answer = json_of(content)
    items = answer
    if isinstance(answer, dict):
        items = answer.get("results", answer.get("data"))
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswer(
            f"returned no list of scores, but {json.dumps(answer)}."
            f" Check whether HOST leads to its API, and MODEL is a reranking model"
        )
    if any(item.get("index") is None for item in items):  # the best come first, not the first
        raise BadAnswer("did not say which score belongs to which text: an 'index' is missing")
    return items


def _score(item: dict[str, Any]) -> float:
    score: Any = item.get("relevance_score", item.get("score"))
    # A whole number may be too large for a float.
    if type(score) not in (int, float) or not abs(score) <= sys.float_info.max:
        raise BadAnswer(f"returned a score that is not a finite number: {score!r:.40}")
    return float(score)
