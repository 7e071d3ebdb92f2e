"""Two collections never see each other's records, whatever their names and ids."""

from __future__ import annotations

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import CollectionSpec, FieldType
from wagtail_vector_index.exceptions import CollectionNotFound

from .examples import id_of
from .expect import expect_equal, expect_error
from .harness import Harness, new_name
from .rules import about

__all__ = ["IsolationTests"]

#: Endings of names that a backend may confuse.
PAIRS = {
    "prefix": ("", "_1"),
    "longer number": ("_1", "_10"),
    "wildcard": ("_1", "x1"),
    "wildcard inside": ("a_b", "axb"),
    "without underscore": ("_ab", "ab"),
    "as long as can be": (20 * "x" + "a", 20 * "x" + "b"),
}

FIELDS: dict[str, FieldType] = {"side": "str"}


class IsolationTests(Harness):
    @about("collections-are-apart")
    @pytest.mark.parametrize("kind", PAIRS)
    def test_isolation_of_names_alike(self, kind: str) -> None:
        begin = new_name()
        names = [f"{begin}{end}" for end in PAIRS[kind]]
        one, other = (self.collection(name=name, fields=FIELDS) for name in names)
        self.apart(one, other)

    @about("collections-are-apart")
    def test_isolation_of_other_shapes(self) -> None:
        metrics = sorted(self.backend.metrics)
        one = self.collection(metrics[0], dimensions=4, fields=FIELDS)
        other = self.collection(metrics[-1], dimensions=2, fields=FIELDS)
        self.apart(one, other)

    @about("names-of-fields")
    def test_isolation_of_fields_alike(self) -> None:
        names = ["f" * 47 + "a", "f" * 47 + "b", "f", "f_1", "fx1"]
        spec = self.collection(fields=dict.fromkeys(names, "str"))
        self.describe(spec, {name: {name: "yes"} for name in names})
        for name in names:
            found = self.names(spec, Q(**{name: "yes"}))
            expect_equal(found, [id_of(name)], f"The field {name} is not confused with another.")

    @about("collections-are-apart")
    def test_isolation_of_a_field_of_another_type(self) -> None:
        one = self.collection(fields={"value": "int"})
        other = self.collection(fields={"value": "str"})
        self.describe(one, {"a": {"value": 1}})
        self.describe(other, {"a": {"value": "1"}})
        rule = "Each collection has its own types of fields."
        expect_equal(self.names(one, Q(value=1)), [id_of("a")], rule)
        expect_equal(self.names(other, Q(value="1")), [id_of("a")], rule)

    @about("collections-are-apart")
    def test_missing_collection_with_a_name_alike(self) -> None:
        begin = new_name()
        self.put(self.collection(name=f"{begin}_1"), {"a": [1, 2, 3, 4]})
        for name in (begin, f"{begin}_", f"{begin}x1", f"{begin}_10"):
            missing = self.spec(name=name)
            with expect_error(CollectionNotFound, f"{name} does not exist, though {begin}_1 does."):
                self.backend.count(missing)
            self.backend.drop(missing)
        expect_equal(len(self.made), 5, "Every collection was tried.")
        expect_equal(
            self.backend.count(self.made[0]), 1, "drop() keeps collections with a similar name."
        )

    def apart(self, one: CollectionSpec, other: CollectionSpec) -> None:
        """Fail if an operation on one of two collections shows in the other."""
        self.describe(one, {"a": {"side": "one"}, "b": {"side": "one"}})
        expect_equal(self.backend.count(other), 0, "A write changes no other collection.")
        self.describe(other, {"a": {"side": "other"}, "c": {"side": "other"}})
        ids = {"one": sorted([id_of("a"), id_of("b")]), "other": sorted([id_of("a"), id_of("c")])}
        for spec, side in ((one, "one"), (other, "other")):
            rule = f"{spec.name} has records of another collection, or has lost its own."
            expect_equal(self.names(spec), ids[side], rule)
            expect_equal(sorted(self.stored(spec)), ids[side], rule)
            expect_equal(self.names(spec, Q(side=side)), ids[side], rule)
            expect_equal(self.names(spec, ~Q(side=side)), [], rule)
            expect_equal(self.backend.count(spec), 2, rule)
            [record] = self.backend.get(spec, [id_of("a")])
            expect_equal(record.metadata, {"side": side}, rule)
        self.backend.delete(one, [id_of("a"), id_of("c")])
        expect_equal(self.names(one), [id_of("b")], "A delete changes its own collection.")
        expect_equal(self.names(other), ids["other"], "A delete changes no other collection.")
        self.backend.drop(one)
        expect_equal(self.names(other), ids["other"], "A drop changes no other collection.")
        with expect_error(CollectionNotFound, "A dropped collection is gone."):
            self.backend.count(one)
