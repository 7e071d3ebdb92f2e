"""Backends that are right while filters are small: few values, elements, characters, branches."""

from wagtail_vector_index.contract.filters import And, Or

from .base import caught_by, made
from .filters import Texts, Walking


def values_of(type_, number):
    """in looks at the first ``number`` values of one type."""

    def holds(self, node, stored, lookup, value):
        if lookup == "in" and node.type == type_:
            value = value[:number]
        return Walking.holds(self, node, stored, lookup, value)

    made(
        "test_filter_by_thousands_of_values",
        f"InOf{number}{type_.capitalize()}s",
        f"in looks at the first {number} values of type {type_}.",
        Walking,
        holds=holds,
    )


for _type in ("str", "int", "float", "datetime"):
    for _number in (999, 2_000, 4_096):
        values_of(_type, _number)


def elements(number):
    """contains looks at the first ``number`` elements."""

    def holds(self, node, stored, lookup, value):
        return Walking.holds(
            self, node, stored[:number] if lookup == "contains" else stored, lookup, value
        )

    made(
        "test_filter_long_lists",
        f"ContainsOf{number}",
        f"contains looks at {number} elements.",
        Walking,
        holds=holds,
    )


for _number in (100, 1_000, 2_500):
    elements(_number)


def text_of(number):
    """Texts are compared up to a number of characters."""

    def change(self, text):
        return text[:number]

    made(
        "test_filter_texts_that_differ_at_their_ends",
        f"TextsOf{number}",
        f"texts are compared up to {number} characters.",
        Texts,
        change=change,
    )


for _number in (1_024, 8_191, 32_766, 65_535):
    text_of(_number)


def branches(number, kind):
    """A filter has at most ``number`` branches."""

    def _matches(self, node, metadata):
        if isinstance(node, kind) and len(node.children) > number:
            node = kind(node.children[:number])
        return Walking._matches(self, node, metadata)

    made(
        "test_filter_trees_of_hundreds_of_branches",
        f"{kind.__name__}Of{number}",
        f"{kind.__name__.upper()} has at most {number} branches.",
        Walking,
        _matches=_matches,
    )


for _kind in (And, Or):
    for _number in (64, 256, 512):
        branches(_number, _kind)


@caught_by("test_filter_trees_of_hundreds_of_branches")
class FewLevels(Walking):
    """What is deeper than 32 levels in a filter matches."""

    depth = 0

    def _matches(self, node, metadata):
        self.depth += 1
        try:
            return self.depth > 32 or super()._matches(node, metadata)
        finally:
            self.depth -= 1
