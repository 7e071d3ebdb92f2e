"""Filters over one scalar field, of each type."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from wagtail_vector_index.contract import MAX_INT, FieldType

from .filtering import FilterHarness
from .rules import about

__all__ = ["ScalarFilterTests"]

NONE = "missing null other"


class ScalarFilterTests(FilterHarness):
    @about("filters-on-numbers")
    def test_filter_int(self) -> None:
        values = {"low": -MAX_INT, "minus": -2, "zero": 0, "one": 1, "two": 2, "top": MAX_INT}
        spec = self.of_values(
            "int", values | {"below": MAX_INT - 1, "big": 2**31, "odd": 2**24 + 1}
        )
        every = "low minus zero one two odd big below top"
        cases = [
            (Q(f=1), "one"),
            (Q(f=0), "zero"),
            (Q(f=3), ""),
            (Q(f=MAX_INT), "top"),
            (Q(f=MAX_INT - 1), "below"),
            (Q(f=-MAX_INT), "low"),
            (Q(f=2**24), ""),
            (Q(f=2**24 + 1), "odd"),
            (Q(f=2**31 - 2**32), ""),
            (Q(f__gt=1), "two odd big below top"),
            (Q(f__gte=1), "one two odd big below top"),
            (Q(f__gt=MAX_INT - 1), "top"),
            (Q(f__gte=MAX_INT - 1), "below top"),
            (Q(f__lt=0), "low minus"),
            (Q(f__lte=0), "low minus zero"),
            (Q(f__lt=-MAX_INT), ""),
            (Q(f__range=(-2, 1)), "minus zero one"),
            (Q(f__range=(2, 2)), "two"),
            (Q(f__range=(2, 1)), ""),
            (Q(f__in=[1, MAX_INT, 5]), "one top"),
            (Q(f__in=[2**31]), "big"),
            (~Q(f=1), f"low minus zero two odd big below top {NONE}"),
            (~Q(f__gt=0), f"low minus zero {NONE}"),
            (~Q(f__range=(-2, MAX_INT)), f"low {NONE}"),
            (Q(f__isnull=False), every),
        ]
        self.keeps(spec, cases)

    @about("filters-on-numbers")
    def test_filter_float(self) -> None:
        values = {"tenth": 0.1, "tiny": 1e-300, "huge": 1e300, "zero": -0.0, "sum": 0.1 + 0.2}
        spec = self.of_values("float", values | {"three": 3, "minus": -1.5})
        cases = [
            (Q(f=0.1), "tenth"),
            (Q(f=0.10000000149011612), ""),
            (Q(f=0.3), ""),
            (Q(f=0.1 + 0.2), "sum"),
            (Q(f=0), "zero"),
            (Q(f=0.0), "zero"),
            (Q(f=1e-300), "tiny"),
            (Q(f=3), "three"),
            (Q(f=3.0), "three"),
            (Q(f__gt=0), "tenth tiny huge sum three"),
            (Q(f__gt=0.1), "sum three huge"),
            (Q(f__gt=0.3), "sum three huge"),
            (Q(f__gte=0.1), "tenth sum three huge"),
            (Q(f__lt=0.0), "minus"),
            (Q(f__lte=-0.0), "minus zero"),
            (Q(f__range=(0.1, 0.3)), "tenth"),
            (Q(f__range=(0, 3)), "zero tiny tenth sum three"),
            (Q(f__in=[0.1, 1e300, 7.5]), "tenth huge"),
            (~Q(f__in=[0.1, 1e300]), f"tiny zero sum three minus {NONE}"),
            (~Q(f__lt=3), f"three huge {NONE}"),
        ]
        self.keeps(spec, cases)

    @about("filters-on-numbers")
    def test_filter_bool(self) -> None:
        spec = self.of_values("bool", {"yes": True, "no": False})
        cases = [
            (Q(f=True), "yes"),
            (Q(f=False), "no"),
            (Q(f__in=[True]), "yes"),
            (Q(f__in=[True, False]), "yes no"),
            (~Q(f=True), f"no {NONE}"),
            (~Q(f=False), f"yes {NONE}"),
            (Q(f__isnull=False), "yes no"),
        ]
        self.keeps(spec, cases)

    @about("no-value")
    def test_filter_scalars_without_value(self) -> None:
        empty: dict[FieldType, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False}
        for type_, value in empty.items():
            spec = self.of_values(type_, {"empty": value})
            cases = [
                (Q(f__isnull=True), NONE),
                (Q(f=None), NONE),
                (Q(f__isnull=False), "empty"),
                (~Q(f__isnull=True), "empty"),
                (~Q(f=None), "empty"),
                (~Q(f__isnull=False), NONE),
                (Q(f=value), "empty"),
                (~Q(f=value), NONE),
                (Q(f__in=[]), ""),
                (~Q(f__in=[]), f"empty {NONE}"),
            ]
            self.keeps(spec, cases)
