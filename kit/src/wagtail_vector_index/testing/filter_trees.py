"""Filters combined with AND, OR and NOT, nested."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from wagtail_vector_index.contract import parse_filter

from .filtering import FIELDS, FilterHarness
from .judging import matches
from .rules import about

__all__ = ["FilterTreeTests"]

ROWS: dict[str, dict[str, Any]] = {
    "ax": {"s": "a", "i": 1, "ls": ["x"]},
    "ay": {"s": "a", "i": 2, "ls": ["y"]},
    "bx": {"s": "b", "i": 1, "ls": ["x", "y"]},
    "by": {"s": "b", "i": 3},
    "c": {"s": "c"},
    "none": {},
}

A, B, C = Q(s="a"), Q(s="b"), Q(s="c")
X, Y = Q(ls__contains="x"), Q(ls__contains="y")

TREES = [
    (A & X, "ax"),
    (A | X, "ax ay bx"),
    (A & ~X, "ay"),
    (~A & ~X, "by c none"),
    (~(A & X), "ay bx by c none"),
    (~(A | X), "by c none"),
    (~~A, "ax ay"),
    (~(~A), "ax ay"),
    (~(~A & ~B), "ax ay bx by"),
    (~(~A | ~X), "ax"),
    ((A | B) & (X | Y), "ax ay bx"),
    ((A & X) | (B & ~X), "ax by"),
    ((A & (X | Q(i=2))) | C, "ax ay c"),
    (~((A | B) & ~(X & Y)), "bx c none"),
    (A & B, ""),
    (A | B | C, "ax ay bx by c"),
    (A & Q(), "ax ay"),
    (Q(s="a", i=1), "ax"),
    (~Q(s="a", i=1), "ay bx by c none"),
    (Q(i__gte=1) & Q(i__lt=3), "ax ay bx"),
    (~Q(i__gte=1) & ~Q(i__lt=1), "c none"),
    (Q(i__isnull=True) | Q(i__gt=2), "by c none"),
    (Q(i__isnull=True) & Q(s__isnull=False), "c"),
    (~Q(i__isnull=True) & ~A, "bx by"),
    (~(Q(i__in=[]) | A), "bx by c none"),
    (~Q(i__in=[]) & A, "ax ay"),
    (Q(i__in=[]) | A, "ax ay"),
    (Q(Q(Q(s="a"))), "ax ay"),
    (~Q(~Q(~Q(s="a"))), "bx by c none"),
]


class FilterTreeTests(FilterHarness):
    @about("combined-filters")
    def test_filter_trees(self) -> None:
        self.keeps(self.described(FIELDS, ROWS), TREES)

    @about("combined-filters")
    def test_filter_wide_and_deep_trees(self) -> None:
        spec = self.described(FIELDS, ROWS)
        wide, deep = Q(s="a"), Q(s="a")
        for number in range(50):
            wide |= Q(s="b", i=number)
            deep = ~(deep & Q(i=2)) if number % 2 else ~(deep | Q(i=1))
        node = parse_filter(deep, FIELDS)
        kept = [name for name, metadata in ROWS.items() if matches(node, metadata)]
        self.keeps(spec, [(wide, "ax ay bx by"), (deep, " ".join(kept))])

    @about("combined-filters")
    def test_filter_by_every_type_in_one_filter(self) -> None:
        moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
        full: dict[str, Any] = {"s": "a", "i": 1, "f": 0.5, "b": True, "ls": ["x"], "li": [1]}
        spec = self.described(
            FIELDS,
            {
                "full": full | {"d": moment.isoformat()},
                "nearly": full | {"d": "2024-05-01T12:00:01Z"},
                "bare": {},
            },
        )
        every = Q(s="a", i=1, f=0.5, b=True, d=moment, ls__contains="x", li__contains=1)
        self.keeps(spec, [(every, "full"), (~every, "nearly bare")])
