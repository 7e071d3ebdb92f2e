"""Metadata, whatever JSON it is, comes back equal to what was written."""

from __future__ import annotations

from typing import Any

import pytest

from wagtail_vector_index.contract import FieldType

from .examples import id_of
from .expect import expect_equal, expect_metadata
from .filter_texts import TEXTS
from .harness import Harness
from .rules import about

__all__ = ["MetadataTests"]

VALUES: dict[str, dict[str, Any]] = {
    "empty": {"object": {}, "list": [], "text": "", "none": None},
    "nested": {"a": {"b": [{"c": [1, [2, [3, {"d": None}]]]}, [], {}]}},
    "lists": {"mixed": [1, "1", 1.5, True, None, {}, []], "order": [3, 1, 2, 1]},
    "bools": {"true": True, "false": False, "one": 1, "zero": 0, "list": [True, 1, False, 0]},
    "ints": {"n": [2**63 - 1, -(2**63), 2**53, 2**53 + 1, -(2**53) - 1, 2**31, 2**24 + 1, -1]},
    "floats": {"n": [0.1, 1e-300, -0.0, 1.7976931348623157e308, 5e-324, 1 / 3, 123456789.123456]},
    "texts": {"list": list(TEXTS.values()), **TEXTS},
    "times": {"utc": "2024-01-01T00:00:00Z", "local": "2024-01-01T01:00:00.000000+01:00"},
    "uuids": {"upper": "C0FFEE00-0000-4000-8000-000000000000", "url": "https://a.b/?c=d&e#f"},
    "long": {"text": "One sentence after the other; \u00e9 \u535a \U0001f469. " * 2_000},
    "many": {f"key {number}": number for number in range(200)},
}

KEYS = [
    *("id", "_id", "vector", "type", "class", "metadata", "payload", "properties", "score"),
    *("", " ", "a.b", "a..b", ".", "a[0]", "a/b", "$set", "$", "__proto__", "a__b", "_additional"),
    *("Upper", "upper", "UPPER", "caf\u00e9", "cafe\u0301", "\U0001f469\u200d\U0001f4bb", "\u5b57"),
    *("it's", 'a"b', "a\\b", "a\nb", "%s", "{}", "0", "-1", "null", "k" * 200),
]


class MetadataTests(Harness):
    @about("metadata-comes-back-equal")
    @pytest.mark.parametrize("kind", VALUES)
    def test_metadata_values(self, kind: str) -> None:
        self.round_trip({"a": VALUES[kind], "b": {}})

    @about("metadata-comes-back-equal")
    def test_metadata_keys(self) -> None:
        self.round_trip({"a": {key: f"value of {key}" for key in KEYS}})
        self.round_trip({"a": {"outer": {key: number for number, key in enumerate(KEYS)}}})

    @about("metadata-comes-back-equal")
    def test_metadata_missing_none_and_empty_are_kept_apart(self) -> None:
        fields: dict[str, FieldType] = {"text": "str", "number": "int", "tags": "list[str]"}
        rows: dict[str, dict[str, Any]] = {
            "missing": {},
            "null": {"text": None, "number": None, "tags": None},
            "empty": {"text": "", "number": 0, "tags": []},
        }
        self.round_trip(rows, fields)

    @about("metadata-comes-back-equal")
    def test_metadata_of_declared_fields_are_kept_as_they_are(self) -> None:
        fields: dict[str, FieldType] = {
            "day": "datetime",
            "price": "float",
            "number": "int",
            "numbers": "list[int]",
            "tags": "list[str]",
        }
        rows: dict[str, dict[str, Any]] = {
            "zulu": {"day": "2024-01-01T00:00:00Z"},
            "offset": {"day": "2024-01-01T05:30:00.120000+05:30"},
            "minute": {"day": "2024-01-01 05:30+05:30"},
            "whole": {"price": 3, "number": -3},
            "tenth": {"price": 0.1, "number": 2**53 - 1},
            "order": {"numbers": [3, 1, 2, 1], "tags": ["b", "a", "b", ""]},
        }
        self.round_trip(rows, fields)

    def round_trip(
        self, rows: dict[str, dict[str, Any]], fields: dict[str, FieldType] | None = None
    ) -> None:
        spec = self.collection(fields=fields)
        self.describe(spec, rows)
        stored = self.stored(spec)
        got = {record.id: record for record in self.backend.get(spec, map(id_of, rows))}
        expect_equal(set(got), set(stored), "get() and scan() return the same records.")
        for name, metadata in rows.items():
            expect_metadata(stored[id_of(name)].metadata, metadata)
            expect_metadata(got[id_of(name)].metadata, metadata)
