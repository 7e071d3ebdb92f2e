"""Filters combined with AND, OR and NOT, nested; and filters that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from ..exceptions import InvalidFilter
from ..filters import FieldType, parse_filter
from .expect import expect, expect_error
from .filtering import FilterHarness
from .oracle import matches

__all__ = ["FilterTreeTests"]

FIELDS: dict[str, FieldType] = {
    "s": "str",
    "i": "int",
    "f": "float",
    "b": "bool",
    "d": "datetime",
    "ls": "list[str]",
    "li": "list[int]",
}

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

WRONG: list[Any] = [
    Q(nope=1),
    Q(nope__isnull=True),
    Q(S="a"),
    Q(id="a"),
    Q(s__icontains="a"),
    Q(s__contains="a"),
    Q(s__gt="a"),
    Q(s__exact__in=["a"]),
    Q(b__gt=True),
    Q(ls=["x"]),
    Q(ls="x"),
    Q(ls__in=["x"]),
    Q(ls__contains=1),
    Q(ls__contains=["x"]),
    Q(ls__contains=None),
    Q(li__contains="1"),
    Q(li__contains=True),
    Q(s=1),
    Q(s=b"a"),
    Q(s="nul\x00"),
    Q(s="\ud800"),
    Q(s__in="abc"),
    Q(s__in=[None]),
    Q(i="1"),
    Q(i=1.0),
    Q(i=True),
    Q(i=2**53),
    Q(i__gt=-(2**53)),
    Q(i__in=1),
    Q(i__in=[1, "2"]),
    Q(i__range=(1,)),
    Q(i__gt=None),
    Q(f="0.1"),
    Q(f=float("nan")),
    Q(f__lt=float("inf")),
    Q(f=False),
    Q(b=1),
    Q(b="true"),
    Q(d="2024-01-01T00:00:00+00:00"),
    Q(d=datetime(2024, 1, 1)),  # noqa: DTZ001  # a naive one
    Q(d__range=(datetime(2024, 1, 1, tzinfo=UTC), None)),
    Q(s__isnull="yes"),
    Q(s__isnull=1),
    Q(s="a") ^ Q(i=1),
    Q(s="a") & ~Q(Q(i=1) | Q(nope=2)),
    "s = 'a'",
    {"s": "a"},
    [Q(s="a")],
    True,
]


class FilterTreeTests(FilterHarness):
    def test_filter_trees(self) -> None:
        self.keeps(self.described(FIELDS, ROWS), TREES)

    def test_filter_wide_and_deep_trees(self) -> None:
        spec = self.described(FIELDS, ROWS)
        wide, deep = Q(s="a"), Q(s="a")
        for number in range(50):
            wide |= Q(s="b", i=number)
            deep = ~(deep & Q(i=2)) if number % 2 else ~(deep | Q(i=1))
        node = parse_filter(deep, FIELDS)
        kept = [name for name, metadata in ROWS.items() if matches(node, metadata)]
        self.keeps(spec, [(wide, "ax ay bx by"), (deep, " ".join(kept))])

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

    def test_wrong_filter(self) -> None:
        spec = self.collection(fields=FIELDS)
        for query in WRONG:
            with expect_error(InvalidFilter, f"search() refuses the filter {query!r}."):
                self.backend.search(spec, [1.0] * 4, filter=query)
            with expect_error(InvalidFilter, f"count() refuses the filter {query!r}."):
                self.backend.count(spec, query)

    def test_wrong_filter_says_what_there_is(self) -> None:
        spec = self.spec(fields={"locale": "str", "year": "int"})
        message = ""
        try:
            self.backend.count(spec, Q(local="en"))
        except InvalidFilter as error:
            message = str(error)
        expect("locale" in message and "year" in message, f"The fields are not listed: {message!r}")
