"""Wrong filters are refused, with an error that lists the fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from wagtail_vector_index.exceptions import InvalidFilter

from .expect import expect, expect_error
from .filtering import FIELDS, FilterHarness
from .rules import about

__all__ = ["FilterErrorTests"]

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


class FilterErrorTests(FilterHarness):
    @about("wrong-filters-are-refused")
    def test_wrong_filter(self) -> None:
        spec = self.collection(fields=FIELDS)
        for query in WRONG:
            with expect_error(InvalidFilter, f"search() refuses the filter {query!r}."):
                self.backend.search(spec, [1.0] * 4, filter=query)
            with expect_error(InvalidFilter, f"count() refuses the filter {query!r}."):
                self.backend.count(spec, query)

    @about("wrong-filters-are-refused")
    def test_wrong_filter_says_what_there_is(self) -> None:
        spec = self.spec(fields={"locale": "str", "year": "int"})
        message = ""
        try:
            self.backend.count(spec, Q(local="en"))
        except InvalidFilter as error:
            message = str(error)
        expect(
            "locale" in message and "year" in message,
            f"The error does not list the fields: {message!r}",
        )
