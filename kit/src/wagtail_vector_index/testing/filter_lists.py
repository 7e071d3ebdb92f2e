"""Filters over lists: contains one element, and an empty list is no value."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from wagtail_vector_index.contract import MAX_INT, FieldType

from .filtering import FilterHarness
from .rules import about

__all__ = ["ListFilterTests"]

NONE = "missing null other nothing"


class ListFilterTests(FilterHarness):
    @about("filters-on-lists")
    def test_filter_lists_of_texts(self) -> None:
        values = {
            "one": ["news"],
            "two": ["news", "sport"],
            "twice": ["sport", "sport"],
            "part": ["newspaper", "new"],
            "case": ["News"],
            "padded": [" news"],
            "comma": ["news,sport"],
            "quote": ['"news"', "it's"],
            "brace": ["{news}"],
            "wild": ["n%", "n_ws"],
            "empty": [""],
            "null_text": ["null", "NULL"],
            "composed": ["caf\u00e9"],
        }
        spec = self.of_values("list[str]", values | {"nothing": []})
        cases = [
            (Q(f__contains="news"), "one two"),
            (Q(f__contains="sport"), "two twice"),
            (Q(f__contains="new"), "part"),
            (Q(f__contains="News"), "case"),
            (Q(f__contains=" news"), "padded"),
            (Q(f__contains="news,sport"), "comma"),
            (Q(f__contains='"news"'), "quote"),
            (Q(f__contains="it's"), "quote"),
            (Q(f__contains="{news}"), "brace"),
            (Q(f__contains="n%"), "wild"),
            (Q(f__contains="n_ws"), "wild"),
            (Q(f__contains=""), "empty"),
            (Q(f__contains="null"), "null_text"),
            (Q(f__contains="caf\u00e9"), "composed"),
            (Q(f__contains="cafe\u0301"), ""),
            (Q(f__contains="[]"), ""),
            (Q(f__contains="news") & Q(f__contains="sport"), "two"),
            (Q(f__contains="new") | Q(f__contains="sport"), "part two twice"),
            (Q(f__contains="news") & ~Q(f__contains="sport"), "one"),
        ]
        self.keeps(spec, cases)
        others = "twice part case padded comma quote brace wild empty null_text composed"
        self.keeps(spec, [(~Q(f__contains="news"), f"{others} {NONE}")])

    @about("filters-on-lists")
    def test_filter_lists_of_ints(self) -> None:
        values = {
            "one": [1],
            "ten": [10, 11],
            "many": [3, 1, 2],
            "zero": [0],
            "minus": [-1],
            "top": [MAX_INT, 2**31],
        }
        spec = self.of_values("list[int]", values | {"nothing": []})
        cases = [
            (Q(f__contains=1), "one many"),
            (Q(f__contains=10), "ten"),
            (Q(f__contains=0), "zero"),
            (Q(f__contains=-1), "minus"),
            (Q(f__contains=MAX_INT), "top"),
            (Q(f__contains=MAX_INT - 1), ""),
            (Q(f__contains=2**31), "top"),
            (Q(f__contains=123), ""),
            (~Q(f__contains=1), f"ten zero minus top {NONE}"),
        ]
        self.keeps(spec, cases)

    @about("no-value")
    def test_filter_lists_without_value(self) -> None:
        elements: dict[FieldType, list[Any]] = {"list[str]": ["a"], "list[int]": [0]}
        for type_, some in elements.items():
            spec = self.of_values(type_, {"some": some, "nothing": []})
            cases = [
                (Q(f__isnull=True), NONE),
                (Q(f__isnull=False), "some"),
                (~Q(f__isnull=True), "some"),
                (~Q(f__isnull=False), NONE),
                (Q(f__contains=some[0]), "some"),
                (~Q(f__contains=some[0]), NONE),
            ]
            self.keeps(spec, cases)
