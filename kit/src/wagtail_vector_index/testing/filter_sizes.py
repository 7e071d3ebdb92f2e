"""Filters of thousands of values, over long lists and texts, and in large trees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import FieldType

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, seeded
from .expect import expect_equal, expect_ids, expect_metadata
from .filtering import FilterHarness
from .rules import about

__all__ = ["FilterSizeTests"]

NONE = "missing null other"

#: How many values one filter has.
VALUES, VALUES_THOROUGHLY = 5_000, 30_000

#: Values of each type by number, none of which is equal to another.
NTH: dict[FieldType, Callable[[int], Any]] = {
    "str": lambda number: f"page:{number}",
    "int": lambda number: 3 * number - 7_000,
    "float": lambda number: number / 8 - 300,
    "datetime": lambda number: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=7 * number),
}

#: Lengths of texts just above the limits of engines: 255, 256, 1,024, 8,191, 32,766 and 65,535.
LENGTHS = [256, 300, 1_025, 2_800, 8_200, 33_000, 66_000]

#: How many branches a filter has, and how many pairs of levels.
WIDE, DEEP = 600, 18


class FilterSizeTests(FilterHarness, AsyncHarness):
    @about("filters-of-any-size")
    @pytest.mark.parametrize("type_", NTH)
    def test_filter_by_thousands_of_values(self, type_: FieldType) -> None:
        count = min(self.at_most, VALUES_THOROUGHLY if self.thorough else VALUES)
        values = [NTH[type_](number) for number in range(count)]
        seeded(31).shuffle(values)
        stored = {
            "first": values[0],
            "middle": values[count // 2],
            "last": values[-1],
            "least": min(values),
            "most": max(values),
            "absent": NTH[type_](count + 10),
        }
        if type_ == "datetime":
            rows = {name: value.isoformat() for name, value in stored.items()}
        else:
            rows = stored
        spec = self.of_values(type_, rows)
        names = "first middle last least most"
        self.keeps(
            spec,
            [
                (Q(f__in=values), names),
                (~Q(f__in=values), f"absent {NONE}"),
                (Q(f__in=values[:1_000]), self.named(stored, values[:1_000])),
                (Q(f__in=values[1:-1]), self.named(stored, values[1:-1])),
                (Q(f__in=values) & Q(f=values[-1]), "last"),
                (Q(f__in=values) | Q(f__isnull=True), f"{names} {NONE}"),
            ],
        )
        expect_equal(
            self.in_loop(self.backend.acount(spec, Q(f__in=values))),
            5,
            "acount() looks at all values of a filter.",
        )

    def named(self, stored: dict[str, Any], values: list[Any]) -> str:
        """Return the names of the records whose values these are."""
        among = set(values)
        return " ".join(name for name, value in stored.items() if value in among)

    @about("filters-of-any-size")
    def test_filter_long_lists(self) -> None:
        spec = self.described(
            {"texts": "list[str]", "ints": "list[int]"},
            {
                "long": {
                    "texts": [f"tag {number}" for number in range(3_000)],
                    "ints": list(range(3_000)),
                },
                "short": {"texts": ["tag 2999"], "ints": [2_999]},
                "reversed": {
                    "texts": [f"tag {number}" for number in reversed(range(2_000))],
                    "ints": list(reversed(range(2_000))),
                },
            },
        )
        cases = []
        for field, nth in (("texts__contains", "tag {}".format), ("ints__contains", int)):
            cases += [
                (Q(**{field: nth(2_999)}), "long short"),
                (Q(**{field: nth(2_998)}), "long"),
                (Q(**{field: nth(1_500)}), "long reversed"),
                (Q(**{field: nth(0)}), "long reversed"),
                (Q(**{field: nth(3_000)}), ""),
                (~Q(**{field: nth(2_998)}), "short reversed"),
                (~Q(**{field: nth(0)}), "short"),
            ]
        self.keeps(spec, cases)
        [record] = self.backend.get(spec, [id_of("reversed")])
        expect_metadata(
            record.metadata,
            {
                "texts": [f"tag {number}" for number in reversed(range(2_000))],
                "ints": list(reversed(range(2_000))),
            },
        )

    @about("filters-of-any-size")
    @pytest.mark.parametrize("length", LENGTHS)
    def test_filter_texts_that_differ_at_their_ends(self, length: int) -> None:
        random = seeded(length)
        # A text that an engine compresses may get through where another does not.
        begin = "".join(random.choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=length - 1))
        texts = {"one": f"{begin}1", "two": f"{begin}2", "cut": begin, "longer": f"{begin}11"}
        lists = {f"list {name}".replace(" ", "_"): [text] for name, text in texts.items()}
        spec = self.described(
            {"f": "str", "l": "list[str]"},
            {
                **{name: {"f": text} for name, text in texts.items()},
                **{name: {"l": value} for name, value in lists.items()},
            },
        )
        everything = {*texts, *lists}
        cases = []
        for name, text in texts.items():
            cases += [
                (Q(f=text), name),
                (Q(f__in=["x", text]), name),
                (~Q(f=text), " ".join(everything - {name})),
                (Q(l__contains=text), f"list_{name}"),
                (~Q(l__contains=text), " ".join(everything - {f"list_{name}"})),
            ]
        self.keeps(spec, cases)
        stored = self.stored(spec)
        for name, text in texts.items():
            expect_metadata(stored[id_of(name)].metadata, {"f": text})

    @about("filters-of-any-size")
    @pytest.mark.parametrize("way", WAYS)
    def test_filter_trees_of_hundreds_of_branches(self, way: Way) -> None:
        wide = min(WIDE, self.at_most // 4)
        spec = self.described(
            {"n": "int", "s": "str", "tags": "list[str]"},
            {
                "first": {"n": 0, "s": "a", "tags": ["t0"]},
                "last": {"n": wide - 1, "s": "b", "tags": [f"t{wide - 1}"]},
                "beyond": {"n": wide, "s": "c", "tags": [f"t{wide}"]},
                "all": {"n": 3, "s": "d", "tags": [f"t{number}" for number in range(wide)]},
                "none": {},
            },
        )
        numbers = range(wide)
        deep = Q(s="a")
        for _ in range(DEEP):  # two levels, of which neither decides anything
            deep = Q(n__gte=0) & (Q(s="x") | deep)
        cases = [
            (Q(*(Q(n=n, s__isnull=False) for n in numbers), _connector=Q.OR), "first last all"),
            (Q(*(Q(tags__contains=f"t{n}") for n in numbers)), "all"),
            (Q(*(Q(tags__contains=f"t{n}") for n in numbers), _connector=Q.OR), "first last all"),
            (~Q(*(Q(tags__contains=f"t{n}") for n in numbers), _connector=Q.OR), "beyond none"),
            (Q(*(~Q(n=n) for n in numbers)), "beyond none"),
            (~Q(*(~Q(n=n) for n in numbers)), "first last all"),
            (deep, "first"),
            (~deep, "last beyond all none"),
        ]
        for keep, expected in cases:
            matches = self.ask(way, "search", spec, [1.0] * 4, limit=100, filter=keep)
            found = [match.id for match in matches]
            rule = "A filter may have hundreds of branches and dozens of levels."
            expect_ids(found, map(id_of, expected.split()), rule, f"a search by {str(keep)[:60]}…")
            expect_equal(self.ask(way, "count", spec, keep), len(found), rule)
