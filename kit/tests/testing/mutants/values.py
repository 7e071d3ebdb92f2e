"""Backends that mistake values which are rare: booleans in lists, odd texts, far datetimes."""

import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache

from wagtail_vector_index.contract.filters import Comparison, Not

from .base import caught_by, made
from .filters import Texts, Walking
from .reads import Changing

SCALARS = "test_filter_in_and_not_of_each_type"
FAR = "test_filter_datetimes_from_the_first_year_to_the_last"
LISTS = "test_filter_lists_of_texts_and_of_ints_are_told_apart"

#: What a text may lose or exchange on its way, by name.
CHANGES = {
    "LineEnds": lambda text: text.replace("\r\n", "\n").replace("\r", "\n"),
    "Newlines": lambda text: " ".join(text.split("\n")),
    "NextLines": lambda text: text.replace("\x85", "\n"),
    "Separators": lambda text: text.replace("\u2028", "\n").replace("\u2029", "\n"),
    "VerticalTabs": lambda text: text.replace("\v", " ").replace("\f", " "),
    "Tabs": lambda text: text.replace("\t", " "),
    "Runs": lambda text: text.replace("  ", " "),
    "Spaces": lambda text: "".join(
        " " if unicodedata.category(each) == "Zs" else each for each in text
    ),
    "ControlsC1": lambda text: "".join(each for each in text if not "\x7f" <= each <= "\x9f"),
    "ControlsC0": lambda text: "".join(each for each in text if each >= " " or each in "\t\n\r"),
    "Formats": lambda text: "".join(each for each in text if unicodedata.category(each) != "Cf"),
    "Joiners": lambda text: text.replace("\u200d", "").replace("\u200c", ""),
    "SoftHyphens": lambda text: text.replace("\xad", ""),
    "ByteOrderMarks": lambda text: text.replace("\ufeff", ""),
    "Directions": lambda text: text.translate(dict.fromkeys([*range(0x202A, 0x202F), 0x200E])),
    "Selectors": lambda text: text.replace("\ufe0f", "").replace("\ufe00", ""),
    "Tags": lambda text: text.translate(dict.fromkeys(range(0xE0000, 0xE0080))),
    "PrivateUse": lambda text: "".join(each for each in text if not "\ue000" <= each <= "\uf8ff"),
    "Noncharacters": lambda text: text.replace("\uffff", "\ufffd").replace("\ufffe", "\ufffd"),
    "Astral": lambda text: "".join(each if each < "\U00010000" else "\ufffd" for each in text),
    "Unassigned": lambda text: "".join(each for each in text if unicodedata.category(each) != "Cn"),
    "Marks": lambda text: "".join(each for each in text if unicodedata.category(each) != "Mn"),
    "Canonical": lambda text: unicodedata.normalize("NFC", text),
    "Decomposed": lambda text: unicodedata.normalize("NFD", text),
    "Compatibility": lambda text: unicodedata.normalize("NFKC", text),
    "Folded": str.casefold,
    "Upper": str.upper,
    "Digits": lambda text: "".join(
        str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text
    ),
    "Stripped": str.strip,
    "StrippedLeft": str.lstrip,
    "StrippedRight": str.rstrip,
    "Quotes": lambda text: text.replace("\u2019", "'").replace("\u201c", '"'),
    "Operators": lambda text: text.translate(dict.fromkeys(map(ord, "|~@`"))),
    "Dashes": lambda text: text.replace("\u2013", "-").replace("\u2011", "-"),
}


def texts(name, change):
    """Texts are changed in filters, and in another mutant on their way back."""
    made(
        "test_filter_texts_of_every_class",
        f"Compares{name}",
        f"texts that differ in {name.lower()} are equal to filters.",
        Texts,
        change=lambda self, text: change(text),
    )
    made(
        "test_metadata_of_every_class_of_texts",
        f"Returns{name}",
        f"texts come back with their {name.lower()} changed.",
        Changing,
        value=lambda self, value: change(value) if isinstance(value, str) else value,
    )


for _name, _change in CHANGES.items():
    texts(_name, cache(_change))


def keys(name, change):
    """Keys are changed on their way back."""
    made(
        "test_metadata_of_every_class_of_texts",
        f"Keys{name}",
        f"keys come back with their {name.lower()} changed.",
        Changing,
        key=lambda self, key: change(key),
    )


for _name in ("Canonical", "Stripped", "LineEnds", "Formats"):
    keys(_name, CHANGES[_name])


@caught_by("test_metadata_of_every_character")
class LosesOneCharacter(Changing):
    """One character that no table of special characters names is lost."""

    def value(self, value):
        return value.replace("\u16a0", "") if isinstance(value, str) else value


def only_for(lookup, name, change):
    """Texts are changed for one lookup only."""

    def holds(self, node, stored, asked, value):
        if "str" in node.type and asked == lookup:
            if isinstance(value, (list, tuple)):
                return change(stored) in [change(each) for each in value]
            if isinstance(stored, list):
                return change(value) in [change(each) for each in stored]
            return change(stored) == change(value)
        return Walking.holds(self, node, stored, asked, value)

    made(
        "test_filter_texts_of_every_class",
        f"{lookup.capitalize()}{name}",
        f"{lookup} takes texts for equal that differ in {name.lower()}.",
        Texts,
        holds=holds,
    )


for _lookup in ("exact", "in", "contains"):
    for _name in ("Stripped", "Canonical", "LineEnds", "Formats"):
        only_for(_lookup, _name, cache(CHANGES[_name]))


@caught_by("test_filter_texts_of_every_class")
class JoinsLists(Walking):
    """A list is joined to one text, which is split again where an element has the separator."""

    def holds(self, node, stored, lookup, value):
        if node.type == "list[str]" and lookup == "contains":
            return value in "|".join(stored).split("|")
        return super().holds(node, stored, lookup, value)


@caught_by("test_filter_texts_of_every_class")
class TildesMeanOr(Walking):
    """A "~" in the text of a filter separates alternatives."""

    def holds(self, node, stored, lookup, value):
        if node.type == "str" and lookup == "exact":
            return stored in [value, *value.split("~")]
        return super().holds(node, stored, lookup, value)


# No value, and booleans


def in_not(type_):
    """A negated in drops records without the field, for one type."""

    def negates(self, child, metadata):
        if (
            isinstance(child, Comparison)
            and (child.lookup, child.type) == ("in", type_)
            and self.is_null(metadata, child.field)
        ):
            return False
        return Walking.negates(self, child, metadata)

    made(
        SCALARS,
        f"NotInNeeds{type_.capitalize()}",
        f"NOT in drops records without a value of type {type_}.",
        Walking,
        negates=negates,
    )


for _type in ("str", "int", "float", "bool", "datetime"):
    in_not(_type)


@caught_by(SCALARS)
class InDropsFalse(Walking):
    """in looks at the values that are true."""

    def holds(self, node, stored, lookup, value):
        if lookup == "in" and node.type == "bool":
            value = [each for each in value if each]
        return super().holds(node, stored, lookup, value)


@caught_by(SCALARS)
class InOfBothIsEverything(Walking):
    """in of both booleans is no condition."""

    def _matches(self, node, metadata):
        if isinstance(node, Comparison) and node.lookup == "in" and len(node.value) == 2:
            return True
        return super()._matches(node, metadata)


@caught_by(SCALARS)
class NotInIsNull(Walking):
    """NOT in together with NOT isnull matches what has no value."""

    def negates(self, child, metadata):
        if isinstance(child, Comparison) and child.lookup == "in" and child.type == "bool":
            return not self.is_null(metadata, child.field) and super().negates(child, metadata)
        return super().negates(child, metadata)


@caught_by(SCALARS)
class DoubleNegation(Walking):
    """NOT in of an empty list matches what has a value only."""

    def negates(self, child, metadata):
        if isinstance(child, Comparison) and child.lookup == "in" and not child.value:
            return not self.is_null(metadata, child.field)
        return super().negates(child, metadata)


@caught_by(SCALARS)
class NotOrOfInAndNull(Walking):
    """NOT (a OR b) is taken as NOT a."""

    def negates(self, child, metadata):
        children = getattr(child, "children", ())
        if children and type(child).__name__ == "Or":
            child = children[0]
        return super().negates(child, metadata)


# Lists and fields


@caught_by(LISTS)
class ListsOfTexts(Walking):
    """Lists of both types are kept as texts in one place."""

    def _matches(self, node, metadata):
        if isinstance(node, Comparison) and node.lookup == "contains":
            both = [*(metadata.get("texts") or ()), *(metadata.get("ints") or ())]
            if both:
                return str(node.value) in map(str, both)
        return super()._matches(node, metadata)


@caught_by(LISTS)
class IntListsAsText(Walking):
    """A list of integers is kept as a text, in which contains looks."""

    def holds(self, node, stored, lookup, value):
        if node.type == "list[int]":
            return str(value) in str(stored)
        return super().holds(node, stored, lookup, value)


@caught_by(LISTS)
class NumbersInTexts(Walking):
    """Texts that look like numbers are compared as numbers."""

    def holds(self, node, stored, lookup, value):
        if node.type == "list[str]":
            return number(value) in map(number, stored)
        return super().holds(node, stored, lookup, value)


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


@caught_by("test_fields_in_any_order")
class FieldsByPosition(Walking):
    """Values are found by the position of their field."""

    def _count(self, spec, filter):
        first = self.stored[spec.name].spec
        if list(first.fields) != list(spec.fields):
            return 0
        return super()._count(spec, filter)


@caught_by("test_fields_in_any_order")
class OrderIsShape(Walking):
    """Fields in another order are another shape."""

    caught_as = Exception

    def _create(self, spec):
        known = self.stored.get(spec.name)
        if known and list(known.spec.fields) != list(spec.fields):
            raise ValueError("another shape")
        super()._create(spec)


@caught_by("test_filter_by_each_of_many_fields")
class SixtyFourFields(Walking):
    """There are indexes for 64 fields."""

    def _search(self, spec, vector, limit, filter, min_score):
        self.indexed = set(list(spec.fields)[:64])
        return super()._search(spec, vector, limit, filter, min_score)

    def is_null(self, metadata, name):
        indexed = self.__dict__.get("indexed", {name})
        return name not in indexed or super().is_null(metadata, name)


def floats(name, says, change):
    """Floats are changed before they are compared."""

    def holds(self, node, stored, lookup, value):
        if node.type == "float":
            value = [change(each) for each in value] if lookup == "in" else change(value)
            stored = change(stored)
        return Walking.holds(self, node, stored, lookup, value)

    made("test_filter_floats_of_any_magnitude", name, says, Walking, holds=holds)


floats("FloatsTo1e38", "floats end at 3.4e38.", lambda number: max(min(number, 3.4e38), -3.4e38))
floats("NoTinyFloats", "the smallest floats are zero.", lambda n: n if abs(n) > 1e-250 else 0.0)
floats("FifteenDigits", "floats have 15 digits.", lambda number: float(f"{number:.15g}"))
floats("SixDecimals", "floats have six decimals.", lambda number: round(number, 6))


# Datetimes


def moments(name, says, change):
    """Datetimes are changed before they are compared."""
    made(FAR, name, says, Walking, moment=lambda self, text: change(datetime.fromisoformat(text)))


def between(first, last):
    first, last = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (first, last))
    return lambda moment: min(max(moment.astimezone(UTC), first), last)


moments("TimesFrom1900", "there is no time before 1900.", between("1900-01-01", "9999-12-31"))
moments("TimesFrom1583", "there is no time before 1583.", between("1583-01-01", "9999-12-31"))
moments(
    "TimesFrom100", "there is no time before the year 100.", between("0100-01-01", "9999-12-31")
)
moments("TimesTo2038", "there is no time after 2038.", between("0001-01-01", "2038-01-19"))
moments("TimesTo2262", "there is no time after 2262.", between("0001-01-01", "2262-04-11"))
moments(
    "TenthsOfMilliseconds",
    "datetimes have four digits after the second.",
    lambda moment: moment.replace(microsecond=moment.microsecond // 100 * 100),
)
moments(
    "OffsetsInMinutes",
    "seconds of an offset are ignored.",
    lambda moment: moment + timedelta(seconds=(moment.utcoffset() or timedelta()).seconds % 60),
)
moments(
    "OffsetsWithinADay",
    "offsets beyond 14 hours are ignored.",
    lambda moment: (
        moment if abs(moment.utcoffset()) <= timedelta(hours=14) else moment.replace(tzinfo=UTC)
    ),
)


@caught_by("test_filter_datetime")
class NotLater(Walking):
    """NOT gte of a datetime drops what has no datetime."""

    def negates(self, child, metadata):
        if (
            isinstance(child, Comparison)
            and child.type == "datetime"
            and not isinstance(child, Not)
        ):
            return not self.is_null(metadata, child.field) and super().negates(child, metadata)
        return super().negates(child, metadata)
