"""Wrong ids and metadata are refused before the backend uses its store."""

from __future__ import annotations

from typing import Any

from wagtail_vector_index.contract import RecordBatch
from wagtail_vector_index.exceptions import InvalidRecord

from .examples import random_vectors, sorted_ids
from .expect import expect_equal, expect_error
from .filtering import FIELDS
from .harness import Harness
from .rules import about

__all__ = ["InvalidRecordTests"]

BAD_METADATA: list[dict[str, Any]] = [
    {"s": 1},
    {"s": ["a"]},
    {"i": "1"},
    {"i": 1.0},
    {"i": True},
    {"i": 2**53},
    {"i": -(2**53)},
    {"f": "0.1"},
    {"f": False},
    {"b": 1},
    {"b": "true"},
    {"d": "yesterday"},
    {"d": "2024-01-01T00:00:00"},
    {"d": "2024-01-01"},
    {"d": 1704067200},
    {"ls": "a"},
    {"ls": ["a", 1]},
    {"ls": ["a", None]},
    {"li": 1},
    {"li": ["1"]},
    {"li": [2**53]},
    {"li": [True]},
]

BAD_TEXTS = ["", "null", "[]", '"text"', "1", "{", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\u0000"}']
DEEP_TEXT = f'{{"a": {"[" * 100_000}{"]" * 100_000}}}'


class InvalidRecordTests(Harness):
    @about("wrong-records-are-refused")
    def test_upsert_of_values_of_another_type(self) -> None:
        spec = self.collection(fields=FIELDS)
        for metadata in BAD_METADATA:
            with expect_error(InvalidRecord, f"upsert() refuses {metadata} in {FIELDS}."):
                self.describe(spec, {"a": {}, "b": metadata})
        expect_equal(
            self.backend.count(spec), 0, "No record of a batch with a bad record is written."
        )

    @about("wrong-records-are-refused")
    def test_upsert_of_metadata_that_is_no_json_object(self) -> None:
        spec = self.collection()
        good = RecordBatch.of(ids=sorted_ids(2), vectors=random_vectors(2, 4))
        for text in [*BAD_TEXTS, DEEP_TEXT]:
            batch = RecordBatch(
                ids=good.ids, vectors=good.vectors, metadata=["{}", text], dimensions=4
            )
            with expect_error(InvalidRecord, f"upsert() refuses the metadata {text[:40]!r}."):
                self.backend.upsert(spec, batch)
        expect_equal(
            self.backend.count(spec), 0, "No record of a batch with a bad record is written."
        )

    @about("wrong-records-are-refused")
    def test_ids_are_uuids(self) -> None:
        spec = self.collection()
        ids: list[Any] = ["c0ffee00-0000-4000-8000-000000000000", 7, None, b"0" * 16]
        for id in ids:
            with expect_error(InvalidRecord, f"delete() refuses the id {id!r}."):
                self.backend.delete(spec, [id])
            with expect_error(InvalidRecord, f"get() refuses the id {id!r}."):
                self.backend.get(spec, [id])
