"""Filters over values that engines confuse: booleans, lists of two types, fields, far datetimes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import MAX_INT, CollectionSpec, FieldType

from .examples import id_of
from .expect import expect_equal, expect_metadata
from .filtering import FIELDS, FilterHarness
from .rules import about

__all__ = ["ValueFilterTests"]

NONE = "missing null other"

#: Values of each scalar type. The first is one that some engines take for no value.
SCALARS: dict[FieldType, list[Any]] = {
    "str": ["", "a", "b"],
    "int": [0, 1, -MAX_INT],
    "float": [0.0, 0.5, -1e300],
    "bool": [False, True],
    "datetime": [
        "1970-01-01T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
        "1969-12-31T23:59:59.999999+00:00",
    ],
}

#: The first and the last instant, and offsets of any size, down to the microsecond.
MOMENTS = {
    "first": "0001-01-01T00:00:00+00:00",
    "first_in_tonga": "0001-01-01T13:00:00.000001+13:00",
    "first_in_samoa": "0001-01-01T00:00:00-11:00",
    "antiquity": "0099-12-31T23:59:59.999999+00:00",
    "julian": "1582-10-10T12:00:00+00:00",
    "local_mean": "1880-01-01T00:00:00+00:53:28",
    "before": "1969-12-31T23:59:59.999999+00:00",
    "epoch": "1970-01-01T00:00:00+00:00",
    "widest": "2024-01-01T23:59:00+23:59",
    "narrowest": "2023-12-31T00:01:00-23:59",
    "odd": "2024-02-29T12:00:00.000001+05:45",
    "after_32_bits": "2038-01-19T03:14:08+00:00",
    "after_nanoseconds": "2262-04-12T00:00:00+00:00",
    "last_but_one": "9999-12-31T23:59:59.999998+00:00",
    "last": "9999-12-31T23:59:59.999999+00:00",
    "last_in_tonga": "9999-12-31T23:00:00+13:00",
    "last_in_samoa": "9999-12-31T12:59:59.999999-11:00",
}


class ValueFilterTests(FilterHarness):
    @about("no-value")
    @pytest.mark.parametrize("type_", SCALARS)
    def test_filter_in_and_not_of_each_type(self, type_: FieldType) -> None:
        names = ["empty", "one", "two"][: len(SCALARS[type_])]
        spec = self.of_values(type_, dict(zip(names, SCALARS[type_], strict=True)))
        asked = SCALARS[type_]
        if type_ == "datetime":
            asked = [datetime.fromisoformat(text) for text in asked]
        cases = [
            (Q(f__in=asked), " ".join(names)),
            (~Q(f__in=asked), NONE),
            (~~Q(f__in=asked), " ".join(names)),
            (Q(f__in=asked) | Q(f=None), f"{' '.join(names)} {NONE}"),
            (~(Q(f__in=asked) | Q(f=None)), ""),
            (~Q(f__in=asked) & ~Q(f=None), ""),
            (~Q(f__in=asked) & Q(f__isnull=True), NONE),
            (Q(f__in=asked, f__isnull=False), " ".join(names)),
            (Q(f__in=[]) | Q(f__in=[asked[0]]), "empty"),
            (~Q(f__in=[]) & ~Q(f__in=[asked[0]]), " ".join([*names[1:], NONE])),
        ]
        for name, value in zip(names, asked, strict=True):
            others = " ".join([*(other for other in names if other != name), NONE])
            rest = [other for other in asked if other != value]
            cases += [
                (Q(f__in=[value]), name),
                (Q(f__in=(value, value)), name),
                (~Q(f__in=[value]), others),
                (Q(f=value) & ~Q(f__in=rest), name),
                (~Q(f=value) & ~Q(f__in=rest), NONE),
                (~(Q(f=value) | Q(f__in=rest)), NONE),
                (~Q(f=value) & ~Q(f=None), " ".join(other for other in names if other != name)),
            ]
        self.keeps(spec, cases)

    @about("filters-on-numbers")
    def test_filter_floats_of_any_magnitude(self) -> None:
        numbers = [
            *(1e-300, 2.5e-290, 1e-39, 1.1754943508222875e-38, 1e-7, 0.1, 0.1 + 0.2),
            *(0.3, 1.0, 1.0000000000000002, 16_777_217.0, 9_007_199_254_740_992.0, 1e16, 1e23),
            *(3.4028234663852886e38, 3.5e38, 1e100, 1.7976931348623157e308),
        ]
        numbers = sorted([*numbers, *(-number for number in numbers), 0.0])
        names = [f"n{row}" for row in range(len(numbers))]
        spec = self.of_values("float", dict(zip(names, numbers, strict=True)))
        cases = [(Q(f__in=numbers), " ".join(names)), (~Q(f__in=numbers), NONE)]
        for row, number in enumerate(numbers):
            cases += [
                (Q(f=number), names[row]),
                (Q(f__gt=number), " ".join(names[row + 1 :])),
                (Q(f__lte=number), " ".join(names[: row + 1])),
            ]
        self.keeps(spec, cases)
        stored = self.stored(spec)
        for name, number in zip(names, numbers, strict=True):
            expect_metadata(stored[id_of(name)].metadata, {"f": number})

    @about("filters-on-lists")
    def test_filter_lists_of_texts_and_of_ints_are_told_apart(self) -> None:
        spec = self.described(
            {"texts": "list[str]", "ints": "list[int]", "text": "str", "number": "int"},
            {
                "texts": {"texts": ["1", "01", "1.0", "true"]},
                "ints": {"ints": [1, 10]},
                "both": {"texts": ["10"], "ints": [1], "text": "10", "number": 10},
                "text": {"text": "1"},
                "number": {"number": 1},
                "joined": {"texts": ["1, 10", "[1]"], "ints": [110]},
                "padded": {"texts": ["001", "1e0", "+1", "1 "]},
            },
        )
        cases = [
            (Q(texts__contains="1"), "texts"),
            (Q(texts__contains="10"), "both"),
            (Q(texts__contains="01"), "texts"),
            (Q(texts__contains="true"), "texts"),
            (Q(texts__contains="[1]"), "joined"),
            (Q(ints__contains=1), "ints both"),
            (Q(ints__contains=10), "ints"),
            (Q(ints__contains=110), "joined"),
            (Q(text="1"), "text"),
            (Q(number=1), "number"),
            (~Q(ints__contains=1), "texts text number joined padded"),
            (~Q(texts__contains="1"), "ints both text number joined padded"),
            (Q(texts__isnull=True), "ints text number"),
            (Q(ints__isnull=True), "texts text number padded"),
        ]
        self.keeps(spec, cases)
        stored = self.stored(spec)
        expect_metadata(stored[id_of("texts")].metadata, {"texts": ["1", "01", "1.0", "true"]})
        expect_metadata(stored[id_of("ints")].metadata, {"ints": [1, 10]})

    @about("names-of-fields")
    def test_fields_in_any_order(self) -> None:
        value: dict[str, Any] = {"one": "x", "two": "y", "three": 3, "four": ["z"]}
        fields: dict[str, FieldType] = {
            "one": "str",
            "two": "str",
            "three": "int",
            "four": "list[str]",
        }
        first = self.collection(fields=fields)
        specs = [
            CollectionSpec(
                name=first.name,
                dimensions=first.dimensions,
                metric=first.metric,
                fields={name: fields[name] for name in order},
            )
            for order in list(permutations(fields))[::5]
        ]
        for number, spec in enumerate(specs):
            self.backend.create(spec)
            order = list(specs[-number - 1].fields)
            self.describe(spec, {f"r{number}": {name: value[name] for name in order}})
        every = " ".join(f"r{number}" for number in range(len(specs)))
        for spec in specs:
            self.keeps(
                spec,
                [
                    (Q(one="x", two="y", three=3, four__contains="z"), every),
                    (Q(one="y"), ""),
                    (Q(two="x"), ""),
                    (~Q(one="x") | ~Q(two="y"), ""),
                ],
            )
        for record in self.stored(first).values():
            expect_metadata(record.metadata, value)

    @about("names-of-fields")
    def test_filter_by_each_of_many_fields(self) -> None:
        types = list(FIELDS.values())
        fields = {f"field_{number}": types[number % len(types)] for number in range(70)}
        values: dict[FieldType, Any] = {
            "str": "a",
            "int": 7,
            "float": 0.5,
            "bool": True,
            "datetime": "2024-01-01T00:00:00+00:00",
            "list[str]": ["a"],
            "list[int]": [7],
        }
        rows = {name: {name: values[type_]} for name, type_ in fields.items()}
        spec = self.described(fields, rows)
        self.keeps(spec, [(Q(**{f"{name}__isnull": False}), name) for name in fields])
        expect_equal(self.backend.count(spec, Q(field_0="a") & Q(field_7="a")), 0, "AND of fields.")

    @about("filters-on-datetimes")
    def test_filter_datetimes_from_the_first_year_to_the_last(self) -> None:
        spec = self.of_values("datetime", MOMENTS)
        instants = {
            name: datetime.fromisoformat(text).astimezone(UTC) for name, text in MOMENTS.items()
        }
        zones = [UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=23, minutes=59))]
        cases = []
        for number, moment in enumerate(instants.values()):
            same = [other for other, each in instants.items() if each == moment]
            later = [other for other, each in instants.items() if each > moment]
            sooner = [other for other, each in instants.items() if each < moment]
            asked = moment
            with suppress(OverflowError):  # no year of this zone has the instant
                asked = moment.astimezone(zones[number % 3])
            cases += [(Q(f=asked), " ".join(same)), (Q(f__gt=asked), " ".join(later))]
            cases += [(Q(f__in=[asked]), " ".join(same))]
            cases += [
                (Q(f__lt=moment), " ".join(sooner)),
                (Q(f__gte=moment), " ".join([*same, *later])),
                (~Q(f__lte=moment), " ".join([*later, NONE])),
                (Q(f__range=(moment, moment)), " ".join(same)),
            ]
        self.keeps(spec, cases)
        stored = self.stored(spec)
        for name, text in MOMENTS.items():
            expect_metadata(stored[id_of(name)].metadata, {"f": text})
