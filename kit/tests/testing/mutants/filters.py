"""Backends that understand filters otherwise."""

import unicodedata
from array import array
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from fractions import Fraction
from zoneinfo import ZoneInfo

from wagtail_vector_index.contract.filters import And, Comparison, IsNull, Not, Or
from wagtail_vector_index.exceptions import InvalidFilter
from wagtail_vector_index.testing.judging import compare

from .base import Refusing


class Walking(Refusing):
    """Right in everything; each step of a filter is a method."""

    def _matches(self, node, metadata):
        match node:
            # The suite asks this millions of times, mostly for comparisons.
            case Comparison():
                name = node.field
                return not self.is_null(metadata, name) and self.compares(node, metadata[name])
            case And(children):
                return all(self._matches(child, metadata) for child in children)
            case Or(children):
                return any(self._matches(child, metadata) for child in children)
            case Not(child):
                return self.negates(child, metadata)
            case IsNull(name):
                return self.is_null(metadata, name)
            case None:
                return True

    def negates(self, child, metadata):
        return not self._matches(child, metadata)

    def is_null(self, metadata, name):
        return metadata.get(name) in (None, [])

    def compares(self, node, stored):
        if node.type == "datetime":
            stored = self.moment(stored)
        return self.holds(node, stored, node.lookup, node.value)

    def moment(self, text):
        return datetime.fromisoformat(text)

    def holds(self, node, stored, lookup, value):
        return compare(stored, lookup, value)


class Texts(Walking):
    """Right as well; texts are changed before they are compared."""

    def holds(self, node, stored, lookup, value):
        if "str" in node.type:
            stored, value = self.changed(stored), self.changed(value)
        return super().holds(node, stored, lookup, value)

    def changed(self, value):
        if isinstance(value, str):
            return self.change(value)
        return [self.change(text) for text in value]

    def change(self, text):
        return text


class IgnoresCase(Texts):
    """Texts are compared without regard to case."""

    def change(self, text):
        return text.lower()


class TrimsTexts(Texts):
    """Texts are compared without white space around them."""

    def change(self, text):
        return text.strip()


class ComposesUnicode(Texts):
    """Texts are compared in one normal form."""

    def change(self, text):
        return unicodedata.normalize("NFC", text)


class StripsAccents(Texts):
    """Texts are compared without accents."""

    def change(self, text):
        decomposed = unicodedata.normalize("NFD", text)
        return "".join(each for each in decomposed if not unicodedata.combining(each))


class TruncatesTexts(Texts):
    """Only the first 255 characters of a text are indexed."""

    def change(self, text):
        return text[:255]


class Tokenises(Texts):
    """Texts are compared word by word."""

    def change(self, text):
        return " ".join("".join(c if c.isalnum() else " " for c in text).split())


class Unescapes(Texts):
    """A backslash disappears on its way."""

    def change(self, text):
        return text.replace("\\", "")


class LikeWildcards(Walking):
    """Exact is LIKE: % and _ are wildcards."""

    def holds(self, node, stored, lookup, value):
        if node.type == "str" and lookup == "exact":
            return fnmatchcase(stored, value.replace("%", "*").replace("_", "?"))
        return super().holds(node, stored, lookup, value)


class PrefixKeys(Walking):
    """Exact finds what begins like the value: Note:1 is also Note:10."""

    def holds(self, node, stored, lookup, value):
        if node.type == "str" and lookup == "exact":
            return stored.startswith(value)
        return super().holds(node, stored, lookup, value)


class SubstringIn(Walking):
    """in looks into the joined texts."""

    def holds(self, node, stored, lookup, value):
        if node.type == "str" and lookup == "in":
            return stored in ",".join(value)
        return super().holds(node, stored, lookup, value)


class FewValues(Walking):
    """in looks at the first thousand values only."""

    def holds(self, node, stored, lookup, value):
        return super().holds(node, stored, lookup, value[:1_000] if lookup == "in" else value)


class EmptyInMatchesAll(Walking):
    """in=[] is no condition at all."""

    def _matches(self, node, metadata):
        if isinstance(node, Comparison) and node.lookup == "in" and not node.value:
            return True
        return super()._matches(node, metadata)


class ContainsPart(Walking):
    """contains looks into the joined elements."""

    def holds(self, node, stored, lookup, value):
        if lookup == "contains":
            return str(value) in ",".join(map(str, stored))
        return super().holds(node, stored, lookup, value)


class ContainsFirst(Walking):
    """contains looks at the first element only."""

    def holds(self, node, stored, lookup, value):
        return super().holds(node, stored[:1] if lookup == "contains" else stored, lookup, value)


class Float32Numbers(Walking):
    """Numbers are compared as float32."""

    def holds(self, node, stored, lookup, value):
        if node.type not in ("int", "float") or lookup == "in":
            return super().holds(node, stored, lookup, value)
        stored, value = array("f", [stored, value])
        return super().holds(node, stored, lookup, value)


class Float32Floats(Walking):
    """Floats are compared as float32, integers are not."""

    def holds(self, node, stored, lookup, value):
        if node.type == "float" and lookup != "in":
            stored, value = array("f", [stored, value])
        return super().holds(node, stored, lookup, value)


class Int32Numbers(Walking):
    """Integers are compared as 32 bits."""

    def holds(self, node, stored, lookup, value):
        if node.type == "int" and lookup != "in":
            stored, value = ((one + 2**31) % 2**32 - 2**31 for one in (stored, value))
        return super().holds(node, stored, lookup, value)


class Int32Lists(Walking):
    """Integers in lists are compared as 32 bits."""

    def holds(self, node, stored, lookup, value):
        if node.type == "list[int]":
            stored = [one % 2**32 for one in stored]
            value %= 2**32
        return super().holds(node, stored, lookup, value)


class ExactByTolerance(Walking):
    """Floats that are nearly equal are equal."""

    def holds(self, node, stored, lookup, value):
        if node.type == "float" and lookup == "exact":
            return abs(stored - value) < 1e-9
        return super().holds(node, stored, lookup, value)


class InclusiveIsExclusive(Walking):
    """gte and lte are gt and lt."""

    def holds(self, node, stored, lookup, value):
        return super().holds(node, stored, {"gte": "gt", "lte": "lt"}.get(lookup, lookup), value)


class WholeSeconds(Walking):
    """Datetimes are stored to the second."""

    def moment(self, text):
        return super().moment(text).replace(microsecond=0)


class Milliseconds(Walking):
    """Datetimes are stored to the millisecond."""

    def moment(self, text):
        moment = super().moment(text)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class DatetimesAsTexts(Walking):
    """Datetimes are compared as texts."""

    def compares(self, node, stored):
        if node.type != "datetime" or node.lookup == "in":
            return super().compares(node, stored)
        return compare(stored, node.lookup, node.value.isoformat())


class OffsetsIgnored(Walking):
    """The clock's face is compared, whatever the offset."""

    def moment(self, text):
        moment = super().moment(text)
        return moment.replace(tzinfo=datetime.fromisoformat("2000-01-01T00:00Z").tzinfo)


class ClockFaces(Walking):
    """Datetimes are stored as a zone's clock shows them, and an hour comes twice a year."""

    def moment(self, text):
        shown = super().moment(text).astimezone(ZoneInfo("Europe/Berlin"))
        return shown.replace(fold=0).astimezone(UTC)


class UnsignedTimes(Walking):
    """There is no time before 1970."""

    def moment(self, text):
        return max(super().moment(text), datetime.fromisoformat("1970-01-01T00:00Z"))


class NotNeedsAValue(Walking):
    """A negated comparison drops records without the field."""

    def negates(self, child, metadata):
        if isinstance(child, Comparison) and self.is_null(metadata, child.field):
            return False
        return super().negates(child, metadata)


class ThreeValuedNot(Walking):
    """A negated tree is unknown, and so false, where any field in it has no value."""

    def negates(self, child, metadata):
        if not isinstance(child, (Comparison, IsNull)):
            fields = {
                node.field for node in getattr(child, "children", ()) if hasattr(node, "field")
            }
            if any(self.is_null(metadata, field) for field in fields):
                return False
        return super().negates(child, metadata)


class NotOfEachChild(Walking):
    """NOT (a AND b) is taken as NOT a AND NOT b."""

    def negates(self, child, metadata):
        if isinstance(child, And):
            return not any(self._matches(each, metadata) for each in child.children)
        return super().negates(child, metadata)


class NotOnce(Walking):
    """NOT within NOT is overlooked."""

    def negates(self, child, metadata):
        return super().negates(child.child if isinstance(child, Not) else child, metadata)


class OrIsAnd(Walking):
    """OR is taken as AND."""

    def _matches(self, node, metadata):
        return super()._matches(And(node.children) if isinstance(node, Or) else node, metadata)


class OneLevelOnly(Walking):
    """OR within AND is taken as AND."""

    def _matches(self, node, metadata):
        if isinstance(node, And):
            flat = [And(each.children) if isinstance(each, Or) else each for each in node.children]
            return all(self._matches(each, metadata) for each in flat)
        return super()._matches(node, metadata)


class EmptyListIsAValue(Walking):
    """isnull does not see an empty list."""

    def is_null(self, metadata, name):
        return metadata.get(name) is None


class NullIsAbsent(Walking):
    """isnull sees absent fields only."""

    def is_null(self, metadata, name):
        return name not in metadata or metadata[name] == []

    def compares(self, node, stored):
        return stored is not None and super().compares(node, stored)


class NullIsExplicit(Walking):
    """isnull does not see absent fields."""

    def _matches(self, node, metadata):
        if isinstance(node, IsNull):
            return metadata.get(node.field, 0) in (None, [])
        return super()._matches(node, metadata)


class EmptyTextIsNull(Walking):
    """An empty text is no value."""

    def is_null(self, metadata, name):
        return metadata.get(name) in (None, [], "")


class FalsyIsNull(Walking):
    """Zero and False are no values."""

    def is_null(self, metadata, name):
        return not metadata.get(name)


class CountIgnoresTheFilter(Refusing):
    """count() counts everything."""

    def _count(self, spec, filter):
        return super()._count(spec, None)


class CountOfItsOwn(Refusing):
    """Counts are right, but of a type that JSON does not know."""

    def _count(self, spec, filter):
        return Fraction(super()._count(spec, filter))


class ReservedIsSpecial(Walking):
    """A field named id is the record's own id."""

    def _matches(self, node, metadata):
        return super()._matches(node, {name: metadata[name] for name in metadata if name != "id"})


class ShortFieldNames(Walking):
    """Field names are cut after 30 characters."""

    def _matches(self, node, metadata):
        short = {name[:30]: value for name, value in metadata.items()}
        if isinstance(node, Comparison):
            node = Comparison(node.field[:30], node.type, node.lookup, node.value)
        return super()._matches(node, short)


class UnknownFieldsMatchNothing(Refusing):
    """A filter over an undeclared field finds nothing."""

    def _quietly(self, ask, spec, filter, nothing):
        fields = {
            str(child[0]).split("__")[0]
            for child in getattr(filter, "children", ())
            if isinstance(child, tuple)
        }
        return ask() if fields <= set(spec.fields) else nothing

    def search(self, spec, vector, *, filter=None, **asked):
        return self._quietly(
            lambda: super(Refusing, self).search(spec, vector, filter=filter, **asked),
            spec,
            filter,
            [],
        )

    def count(self, spec, filter=None):
        return self._quietly(lambda: super(Refusing, self).count(spec, filter), spec, filter, 0)


class SaysNothing(Refusing):
    """A wrong filter is refused without a word."""

    def count(self, spec, filter=None):
        try:
            return super().count(spec, filter)
        except InvalidFilter:
            raise InvalidFilter("invalid filter") from None
