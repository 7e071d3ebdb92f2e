"""Reads the answer of a service: one vector for each text, in any order."""

from __future__ import annotations

import base64
import json
import re
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

#: A number of an item as text; no request has a billion texts.
_DECIMAL = re.compile(r"\d{1,9}", re.ASCII)


class BadAnswer(Exception):
    """The answer does not follow the protocol; the message follows "the service"."""


def read_vectors(
    content: bytes, count: int, dimensions: int | None = None, *, is_set: bool = False
) -> bytes:
    """Return the vectors of an answer in the order of the texts: count × dimensions float32.

    Args:
        content: the answer, as JSON.
        count: how many texts were sent.
        dimensions: the size of each vector, if it is known beforehand.
        is_set: whether it is known from the option.

    Raises:
        BadAnswer: the answer does not follow the protocol, or has a wrong number, order or size
            of vectors.
    """
    vectors = in_order(_items(content), count, "vectors", _row)
    _check_sizes({len(row) // 4 for row in vectors}, dimensions, is_set=is_set)
    return b"".join(vectors)


def json_of(content: bytes) -> Any:
    """Return an answer, which must be JSON.

    Raises:
        BadAnswer: it is something else, such as a page of HTML.
    """
    try:
        return json.loads(content)
    except ValueError:
        raise BadAnswer(
            f"returned something other than JSON, which begins with {content[:60]!r}."
            f" Check whether HOST is the base URL of its API; most end with '/v1'"
        ) from None


def in_order(
    items: Sequence[dict[str, Any]], count: int, what: str, read: Callable[[dict[str, Any]], T]
) -> list[T]:
    """Return what an answer has for each text, in the order of the texts.

    Args:
        items: the items of the answer, each with the number of its text as ``index``. Without
            one, an item belongs to the text at its own position.
        count: how many texts were sent.
        what: the word for what the items hold, in errors.
        read: reads an item.

    Raises:
        BadAnswer: there is not exactly one item for each text, or `read` raised this error.
    """
    if len(items) != count:
        raise BadAnswer(f"returned {len(items)} {what} for {count} texts")
    rows: dict[int, T] = {}
    for position, item in enumerate(items):
        index = _whole(item.get("index"), position)
        if type(index) is not int or not 0 <= index < count or index in rows:
            raise BadAnswer(f"numbered its {count} {what} wrongly: 'index' is {index!r:.40}")
        rows[index] = read(item)
    return [rows[index] for index in range(count)]


def _check_sizes(sizes: set[int], dimensions: int | None, *, is_set: bool) -> None:
    if len(sizes) > 1:
        raise BadAnswer(f"returned vectors of different sizes: {min(sizes)} and {max(sizes)}")
    if dimensions is not None and (others := sizes - {dimensions}):
        correct = "Correct DIMENSIONS, or leave it out if the model has one size"
        raise BadAnswer(
            f"returned vectors of {others.pop()} dimensions instead of {dimensions}."
            f" {correct if is_set else 'Set DIMENSIONS'}"
        )


def _items(content: bytes) -> list[dict[str, Any]]:
    answer = json_of(content)
    # llama.cpp returns the list itself at its address without "/v1".
    items = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswer(
            f"returned no list of vectors, but {json.dumps(answer)}."
            f" Check whether HOST leads to its API, and MODEL is an embedding model"
        )
    return items


def _whole(index: Any, position: int) -> Any:
    """Return the number of an item; some services send null, a float such as 1.0, or a text."""
    if index is None:
        return position
    is_whole = isinstance(index, float) and index.is_integer()
    is_decimal = isinstance(index, str) and _DECIMAL.fullmatch(index)
    return int(index) if is_whole or is_decimal else index


def _row(item: dict[str, Any]) -> bytes:
    """Return the vector of an item as float32; services without base64 send numbers."""
    embedding: Any = item.get("embedding")
    if isinstance(embedding, list) and len(embedding) == 1 and isinstance(embedding[0], list):
        embedding = embedding[0]  # llama.cpp wraps the vector of a pooled text
    try:
        if isinstance(embedding, str):
            text = "".join(embedding.split()).rstrip("=")
            text += "=" * (-len(text) % 4)  # some services leave out the padding
            text = text.replace("-", "+").replace("_", "/")  # or use the alphabet for URLs
            row = array("f", base64.b64decode(text, validate=True))
            if sys.byteorder == "big":
                row.byteswap()
        else:
            row = array("f", embedding)
    except (TypeError, ValueError, OverflowError):
        raise BadAnswer("returned a vector that is neither numbers nor base64") from None
    if not row:
        raise BadAnswer("returned an empty vector")
    return row.tobytes()
