"""Turns records into Qdrant's points, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from qdrant_client import models

from wagtail_vector_index.backends.base import CollectionSpec, Match, RecordBatch
from wagtail_vector_index.contract import FACTS, bounded
from wagtail_vector_index.contract.arrays import Floats32, matrix, stored
from wagtail_vector_index.exceptions import CollectionMismatch

from .naming import METADATA, key_of, vector_name

#: The bytes that a component of a vector takes in JSON, which has a float32 as a double.
_COMPONENT_BYTES = 22
#: The bytes that a record takes besides its vector and its metadata: id, keys, quotes.
_RECORD_BYTES = 200


def requests_of(batch: RecordBatch, records: int, size: int) -> Iterator[RecordBatch]:
    """Yield slices of a batch within the limits of records and of bytes on the wire."""
    return bounded(
        batch,
        records=records,
        size=size,
        fixed=bytes_of_vector(batch.dimensions),
        # The values of fields are sent twice, and a character may take six bytes in JSON.
        text_size=lambda text: 2 * len(json.dumps(text)),
    )


def bytes_of_vector(dimensions: int) -> int:
    """Estimate how many bytes a record without metadata takes on the wire."""
    return _RECORD_BYTES + _COMPONENT_BYTES * dimensions


def points_of(spec: CollectionSpec, batch: RecordBatch, *, as_json: bool) -> models.Batch:
    """Return the points of a batch, column by column.

    Args:
        spec: the collection.
        batch: the records.
        as_json: whether they will be sent as JSON.
    """
    vectors = stored(matrix(batch), spec.metric)
    rows: Any = short(vectors) if as_json else vectors.tolist()
    return models.Batch(
        ids=[str(id) for id in batch.uuids],
        vectors={vector_name(spec): rows},
        payloads=[payload(spec, text) for text in batch.metadata],
    )


def short(vectors: Floats32) -> list[list[float]]:
    """Return vectors as the doubles with the fewest digits that still give these float32.

    As JSON, they take half as many bytes as with all the digits of a double. This saves more
    time on both sides than the conversion takes.
    """
    text = orjson.dumps(np.ascontiguousarray(vectors), option=orjson.OPT_SERIALIZE_NUMPY)
    found: list[list[float]] = orjson.loads(text)
    return found


def payload(spec: CollectionSpec, text: str) -> dict[str, Any]:
    """Return the metadata as text, and next to it the values of the filter fields that have any."""
    made: dict[str, Any] = {METADATA: text}
    if spec.fields:
        metadata = json.loads(text)
        for name, type_ in spec.fields.items():
            value = metadata.get(name)
            if value is None or value == []:
                continue
            made[key_of(name)] = _stored(type_, value)
    return made


def batch_of(spec: CollectionSpec, points: Sequence[Any], where: str) -> RecordBatch:
    """Return the records of points that were read with vectors and metadata.

    Raises:
        CollectionMismatch: a point has another shape than those of this backend.
    """
    name = vector_name(spec)
    with _of_our_shape(spec, where):
        return RecordBatch(
            ids=b"".join(UUID(point.id).bytes for point in points),
            vectors=np.array([point.vector[name] for point in points], np.float32).tobytes(),
            metadata=[_text(point.payload[METADATA]) for point in points],
            dimensions=spec.dimensions,
            checked=True,
        )


def matches_of(spec: CollectionSpec, points: Sequence[Any], limit: int, where: str) -> list[Match]:
    """Return the matches of points that a search found, the best first.

    They are as many as the limit, and those beyond it that score as high as the last of these.

    Raises:
        CollectionMismatch: a point has another shape than those of this backend.
    """
    facts = FACTS[spec.metric]
    sign = -1 if facts.is_distance else 1
    matches: list[Match] = []
    with _of_our_shape(spec, where):
        for point in points:
            score = facts.clipped(sign * point.score)
            if len(matches) >= limit and score != matches[limit - 1].score:
                break
            matches.append(Match(id=UUID(point.id), score=score))
    return matches


@contextmanager
def _of_our_shape(spec: CollectionSpec, where: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CollectionMismatch(
            f"{where} has points in {spec.name!r} that this backend did not write: their ids,"
            " vectors or payloads have another shape. Delete these points, or set"
            " COLLECTION_PREFIX to one that nothing else uses, and update the index again."
        ) from error


def _text(metadata: Any) -> str:
    if not isinstance(metadata, str):
        raise TypeError(f"metadata must be text, not {type(metadata).__name__}")
    return metadata


def _stored(type_: str, value: Any) -> Any:
    if type_ == "datetime":
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return float(value) if type_ == "float" else value
