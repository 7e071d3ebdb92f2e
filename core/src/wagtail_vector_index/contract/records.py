"""Batches of records that go to a vector backend, and matches that come back."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID

from ..exceptions import InvalidRecord, InvalidVector
from ..wording import shown
from .filters import text_problem

__all__ = ["Match", "Record", "RecordBatch", "Vector", "field_values", "float32", "ranked"]

#: A sequence of numbers, or anything with a buffer of floats, such as a NumPy array.
Vector: TypeAlias = Any

_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """The id of a record that a search found, with its score: higher is nearer."""

    id: UUID
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One record of a batch: an id, a vector and its metadata."""

    id: UUID
    vector: tuple[float, ...]
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordBatch:
    """Ids, vectors and metadata of n records, column by column.

    Columns cost a fraction of what n objects cost, and NumPy can wrap the two buffers without
    a copy. ``len(batch)`` is n, ``batch[10:20]`` shares the buffers, and iterating yields
    `Record` objects one at a time.

    Args:
        ids: 16·n bytes: the ``bytes`` of each UUID, one after the other.
        vectors: n × dimensions contiguous float32, in the machine's byte order.
        metadata: n JSON texts, each an object.
        dimensions: the number of components of each vector.
        checked: whether the metadata was already checked against the collection's
            fields, as it was if it comes from core's index tables.

    Raises:
        InvalidRecord: if the columns differ in length, or the vectors are not contiguous.
    """

    ids: bytes | memoryview
    vectors: bytes | memoryview
    metadata: Sequence[str]
    dimensions: int
    checked: bool = False

    def __post_init__(self) -> None:
        count = len(self.metadata)
        vectors = memoryview(self.vectors)
        if not vectors.c_contiguous:
            raise InvalidRecord("The vectors of a batch must be one contiguous buffer.")
        sizes = (len(self.ids), vectors.nbytes)
        if sizes != (16 * count, 4 * self.dimensions * count):
            raise InvalidRecord(
                f"A batch of {count} metadata texts and {self.dimensions} dimensions needs"
                f" {16 * count} bytes of ids and {4 * self.dimensions * count} bytes of vectors,"
                f" not {sizes[0]} and {sizes[1]}."
            )

    @classmethod
    def of(
        cls,
        *,
        ids: Iterable[UUID],
        vectors: Iterable[Vector],
        metadata: Iterable[Mapping[str, Any]] | None = None,
    ) -> RecordBatch:
        """Return a batch made from lists.

        Args:
            ids: one UUID for each record.
            vectors: one vector for each record, all of one size; or an n × d buffer.
            metadata: one dict of JSON values for each record; None means empty dicts.
                A datetime is ISO 8601 text with an offset.

        Raises:
            InvalidRecord: columns that differ in length, ids that are not UUIDs, or
                metadata that JSON, or some backend, cannot hold.
            InvalidVector: vectors that are not numbers or differ in size.

        Example::

            RecordBatch.of(ids=[uuid4()], vectors=[[0.1, 0.9]], metadata=[{"locale": "en"}])
        """
        id_list = [checked_id(id) for id in ids]
        rows = [float32(vector) for vector in _rows(vectors)]
        texts = ["{}"] * len(id_list) if metadata is None else [_dump(item) for item in metadata]
        if not len(id_list) == len(rows) == len(texts):
            raise InvalidRecord(
                f"A batch needs as many ids as vectors and metadata, not {len(id_list)} ids,"
                f" {len(rows)} vectors and {len(texts)} metadata."
            )
        dimensions = len(rows[0]) if rows else 0
        for id, row in zip(id_list, rows, strict=True):
            if len(row) != dimensions:
                raise InvalidVector(
                    f"The vector of {id} has {len(row)} dimensions, the first has {dimensions}."
                )
        return cls(
            ids=b"".join(id.bytes for id in id_list),
            vectors=b"".join(rows),
            metadata=texts,
            dimensions=dimensions,
        )

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[bytes, bytes, str]], dimensions: int) -> RecordBatch:
        """Return a batch made from the rows of a database.

        Args:
            rows: the bytes of a UUID, the bytes of a float32 vector and the JSON text of the
                metadata of each record.
            dimensions: the number of components of each vector.
        """
        return cls(
            ids=b"".join(id for id, _, _ in rows),
            vectors=b"".join(vector for _, vector, _ in rows),
            metadata=[text for _, _, text in rows],
            dimensions=dimensions,
        )

    def __len__(self) -> int:
        return len(self.metadata)

    def __getitem__(self, key: slice) -> RecordBatch:
        if not isinstance(key, slice):
            raise TypeError("A RecordBatch must be sliced; iterate over it to get single records.")
        start, stop, step = key.indices(len(self))
        if step != 1:
            raise ValueError("A RecordBatch must be sliced without a step.")
        size = 4 * self.dimensions
        return RecordBatch(
            ids=memoryview(self.ids)[16 * start : 16 * stop],
            vectors=memoryview(self.vectors).cast("B")[size * start : size * stop],
            metadata=self.metadata[start:stop],
            dimensions=self.dimensions,
            checked=self.checked,
        )

    def __iter__(self) -> Iterator[Record]:
        for index, id in enumerate(self.uuids):
            yield Record(
                id=id,
                vector=tuple(self.vector(index)),
                metadata=json.loads(self.metadata[index]),
            )

    @cached_property
    def uuids(self) -> list[UUID]:
        """The ids as UUID objects."""
        data = bytes(self.ids)
        return [UUID(bytes=data[start : start + 16]) for start in range(0, len(data), 16)]

    def vector(self, index: int) -> memoryview[Any]:
        """Return the vector of one record: float32 of length ``dimensions``, not copied."""
        floats = memoryview(self.vectors).cast("B").cast("f")
        return floats[index * self.dimensions : (index + 1) * self.dimensions]

    def without_duplicates(self) -> RecordBatch:
        """Return the batch with the last record of each id, or itself if no id comes twice."""
        data = bytes(self.ids)
        last = {data[16 * row : 16 * row + 16]: row for row in range(len(self))}
        if len(last) == len(self):
            return self
        rows = sorted(last.values())
        return RecordBatch(
            ids=b"".join(data[16 * row : 16 * row + 16] for row in rows),
            vectors=b"".join(self.vector(row) for row in rows),
            metadata=[self.metadata[row] for row in rows],
            dimensions=self.dimensions,
            checked=self.checked,
        )


def field_values(metadata: Sequence[str], fields: Iterable[str]) -> dict[str, list[Any]]:
    """Return the values of each field, one for each record; None stands for no value.

    Args:
        metadata: JSON texts, as in `RecordBatch.metadata`.
        fields: the names of the fields.

    Example::

        >>> field_values(['{"locale": "en", "tags": []}', "{}"], ["locale", "tags"])
        {'locale': ['en', None], 'tags': [None, None]}
    """
    if not (names := [*fields]):
        return {}
    # One call for all texts takes half the time of a call for each.
    objects = json.loads(f"[{','.join(metadata)}]")
    return {
        name: [None if (value := given.get(name)) == [] else value for given in objects]
        for name in names
    }


def float32(vector: Vector) -> array[float] | memoryview[Any]:
    """Return a vector as a flat, contiguous buffer of float32, copied only if it must be.

    Raises:
        InvalidVector: the vector is not made of numbers.
    """
    try:
        buffer = memoryview(vector)
    except (TypeError, ValueError):  # no buffer, or a buffer that Python cannot read
        return _float32_array(vector)
    if buffer.format == "f" and buffer.c_contiguous:
        return buffer.cast("B").cast("f") if buffer.nbytes else array("f")
    if buffer.format not in ("f", "d"):
        return _float32_array(vector)
    return _float32_array(buffer.tolist())


def ranked(matches: list[Match], limit: int, min_score: float | None) -> list[Match]:
    """Return the matches from ``min_score`` on, best first, up to the limit."""
    kept = [match for match in matches if min_score is None or match.score >= min_score]
    return sorted(kept, key=lambda match: (-match.score, match.id))[:limit]


def _float32_array(values: Any) -> array[float]:
    if isinstance(values, (str, bytes, bytearray)):
        raise InvalidVector(f"A vector must be a sequence of numbers, not {type(values).__name__}.")
    try:
        return array("f", values)
    except (TypeError, OverflowError) as error:
        raise InvalidVector(f"A vector must be a sequence of numbers: {error}.") from error


def _rows(vectors: Iterable[Vector]) -> Iterable[Vector]:
    if isinstance(vectors, memoryview) and vectors.ndim > 1:
        return vectors.tolist()  # Python cannot iterate over the rows of such a view
    return vectors


def checked_id(id: object) -> UUID:
    """Return the id.

    Raises:
        InvalidRecord: the id is not a UUID.
    """
    if not isinstance(id, UUID):
        raise InvalidRecord(f"An id must be a uuid.UUID, not {shown(id)}.")
    return id


def _dump(metadata: Mapping[str, Any]) -> str:
    if not isinstance(metadata, Mapping):
        raise InvalidRecord(f"Metadata must be a dict, not {shown(metadata)}.")
    value = dict(metadata)
    if problem := metadata_problem(value):
        raise InvalidRecord(f"Metadata {shown(value)} cannot be stored: {problem}")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def metadata_problem(value: Any) -> str:
    """Return why some backend could not return a value unchanged, or an empty text."""
    try:
        return _problem(value)
    except RecursionError:
        return "it is nested too deeply."


def _problem(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, int):
        return "" if _MIN_INT64 <= value <= _MAX_INT64 else "integers must fit into 64 bits."
    if isinstance(value, float):
        return "" if abs(value) < float("inf") else "floats must be finite."
    if isinstance(value, list):
        return next(filter(None, map(_problem, value)), "")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return "keys must be texts."
        return next(filter(None, map(_problem, [*value, *value.values()])), "")
    return f"{type(value).__name__} is not a JSON value."
