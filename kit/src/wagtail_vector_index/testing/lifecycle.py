"""Collections are created, listed and dropped, and each operation can be repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wagtail_vector_index.contract import (
    EXACT,
    FIELD_TYPES,
    METRICS,
    CollectionSpec,
    FieldType,
    Metric,
)
from wagtail_vector_index.exceptions import CollectionMismatch, InvalidSpec

from .capabilities import ONE_METRIC_LESS, SEVERAL_METRICS
from .event_loops import WAYS, AsyncHarness, Way
from .expect import expect, expect_equal, expect_error, expect_messages
from .rules import about

__all__ = ["LifecycleTests"]


class LifecycleTests(AsyncHarness):
    @about("new-collections-are-empty")
    @pytest.mark.parametrize("metric", METRICS)
    def test_new_collection_is_empty(self, metric: Metric) -> None:
        spec = self.collection(metric)
        expect_equal(self.backend.count(spec), 0, "A new collection has no records.")
        expect_equal(
            self.backend.search(spec, [1.0] * 4), [], "A search of a new collection finds nothing."
        )
        expect_equal(self.stored(spec), {}, "A scan of a new collection returns nothing.")

    @about("metrics-are-declared")
    def test_unknown_metric_is_refused(self) -> None:
        unknown = [metric for metric in METRICS if metric not in self.backend.metrics]
        self.need(ONE_METRIC_LESS, unknown)
        spec = replace(self.spec(), metric=unknown[0])
        with expect_error(InvalidSpec, "create() refuses a metric that metrics does not declare."):
            self.backend.create(spec)

    @about("creating-is-idempotent")
    @pytest.mark.parametrize("way", WAYS)
    def test_create_again_keeps_the_records(self, way: Way) -> None:
        self.go(way)
        fields: dict[str, FieldType] = {f"field_{n}": type_ for n, type_ in enumerate(FIELD_TYPES)}
        spec = self.collection(fields=fields)
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.backend.create(spec)
        expect_equal(self.backend.count(spec), 1, "A second create() changes nothing.")

    @about("another-shape-is-refused")
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("way", WAYS)
    def test_create_with_other_dimensions(self, metric: Metric, way: Way) -> None:
        self.go(way)
        spec = self.collection(metric, dimensions=4)
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.refuses(self.spec(metric, name=spec.name, dimensions=5))
        expect_equal(self.backend.count(spec), 1, "A refused create() changes no record.")

    @about("another-shape-is-refused")
    @pytest.mark.parametrize("way", WAYS)
    def test_create_with_another_metric(self, way: Way) -> None:
        self.go(way)
        self.need(SEVERAL_METRICS, len(self.backend.metrics) > 1)
        one, other = sorted(self.backend.metrics)[:2]
        spec = self.collection(one)
        self.refuses(self.spec(other, name=spec.name))

    @about("another-shape-is-refused")
    @pytest.mark.parametrize("way", WAYS)
    def test_create_with_other_fields(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"year": "int"})
        self.refuses(self.spec(name=spec.name, fields={"year": "str"}))
        self.refuses(self.spec(name=spec.name, fields={"year": "int", "locale": "str"}))
        self.refuses(self.spec(name=spec.name))

    def refuses(self, spec: CollectionSpec) -> None:
        with expect_error(CollectionMismatch, "create() refuses a collection of another shape."):
            self.backend.create(spec)

    @about("dropping-is-complete")
    def test_drop_again(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.backend.drop(spec)
        self.backend.drop(spec)
        self.backend.drop(self.spec())

    @about("dropping-is-complete")
    @pytest.mark.parametrize("way", WAYS)
    def test_drop_and_create_is_empty(self, way: Way) -> None:
        self.go(way)
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.backend.drop(spec)
        self.backend.create(spec)
        expect_equal(self.backend.count(spec), 0, "drop() deletes the records too.")
        expect_equal(self.names(spec), [], "Records of a dropped collection are never found.")

    @about("dropping-is-complete")
    @pytest.mark.parametrize("way", WAYS)
    def test_drop_and_create_with_another_shape(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(dimensions=4, fields={"year": "int"})
        self.backend.drop(spec)
        other = self.collection(name=spec.name, dimensions=2, fields={"year": "str"})
        self.put(other, {"a": [1, 2]})
        expect_equal(self.backend.count(other), 1, "After drop(), the name can be used again.")

    @about("collections-are-listed")
    def test_collections_are_listed(self) -> None:
        never = self.spec()
        one, other = (
            self.collection(name=f"{never.name}_b"),
            self.collection(name=f"{never.name}_a"),
        )
        listed = self.backend.collections()
        expect_equal(
            listed, sorted(set(listed)), "collections() is sorted, and has each name once."
        )
        expect(
            {one.name, other.name} <= set(listed),
            f"{one.name} and {other.name} are not in {listed}.",
        )
        expect(never.name not in listed, f"{never.name} is listed, but was never created.")
        self.backend.drop(one)
        expect(one.name not in self.backend.collections(), "A dropped collection is not listed.")

    @about("optimizing-changes-no-answer")
    def test_optimize_changes_nothing(self) -> None:
        spec = self.collection()
        self.backend.optimize(spec)
        self.put(spec, {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]})
        before = self.backend.search(spec, [1.0, 1.0, 1.0, 2.0])
        expect_equal(len(before), 2, "A search needs no optimize() before it.")
        self.backend.optimize(spec)
        self.backend.optimize(spec)
        self.put(spec, {"c": [-9, -9, -9, -9]})
        after = self.backend.search(spec, [1.0, 1.0, 1.0, 2.0], limit=2)
        expect_equal([m.id for m in after], [m.id for m in before], "optimize() changed a ranking.")
        expect_equal(self.backend.count(spec), 3, "A collection can be written after optimize().")
        settings = self.backend._search_settings(spec)  # noqa: SLF001  # an author writes it
        for setting in (*settings, EXACT):
            tuned = spec.searched_with(setting)
            after = self.backend.search(tuned, [1.0, 1.0, 1.0, 2.0], limit=2)
            expect_equal(
                [m.id for m in after], [m.id for m in before], f"{setting} changed a ranking."
            )

    @about("health-and-checks")
    def test_health_and_check(self) -> None:
        expect(self.backend.health().ok, "health() is ok if the backend works.")
        expect_messages(self.backend.check())

    @about("closing-loses-nothing")
    def test_close_and_use_again(self) -> None:
        spec = self.collection()
        self.backend.close()
        self.backend.close()
        self.backend.create(spec)
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.backend.close()
        if self.backend.persistent:
            expect_equal(self.backend.count(spec), 1, "close() loses no records.")
