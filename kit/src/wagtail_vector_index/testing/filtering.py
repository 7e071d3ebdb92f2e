"""Harness of the filter tests: named records, and checks of which of them a filter keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from django.db.models import Q

from wagtail_vector_index.contract import CollectionSpec, FieldType

from .expect import expect
from .harness import Harness

__all__ = ["FIELDS", "Cases", "FilterHarness"]

#: Filters, each with the names of the records that it keeps, separated by spaces.
Cases: TypeAlias = Sequence[tuple[Q, str]]

#: A field of each type.
FIELDS: dict[str, FieldType] = {
    "s": "str",
    "i": "int",
    "f": "float",
    "b": "bool",
    "d": "datetime",
    "ls": "list[str]",
    "li": "list[int]",
}


class FilterHarness(Harness):
    def described(
        self, fields: Mapping[str, FieldType], rows: Mapping[str, Mapping[str, Any]]
    ) -> CollectionSpec:
        """Return a collection of records with this metadata."""
        spec = self.collection(fields=fields)
        self.describe(spec, rows)
        return spec

    def of_values(self, type_: FieldType, values: Mapping[str, Any]) -> CollectionSpec:
        """Return a collection with one field ``f``, and three more records without its value."""
        rows = {name: {"f": value} for name, value in values.items()}
        empty: dict[str, dict[str, Any]] = {"missing": {}, "null": {"f": None}, "other": {"g": 1}}
        return self.described({"f": type_}, rows | empty)

    def keeps(self, spec: CollectionSpec, cases: Cases) -> None:
        """Fail unless each filter keeps the right records. The error lists every wrong filter."""
        wrong = []
        for query, expected in cases:
            found = {self.known[id] for id in self.names(spec, query)}
            counted = self.backend.count(spec, query)
            if found != set(expected.split()):
                wrong.append(f"{query} finds {sorted(found)}, not {sorted(expected.split())}")
            elif counted != len(found):
                wrong.append(f"{query} finds {len(found)} records, and count() says {counted}")
        expect(not wrong, "These filters keep the wrong records:\n  " + "\n  ".join(wrong))
