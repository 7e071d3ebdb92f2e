"""Filters: what they mean, and what is said about those that mean nothing."""

import enum
import itertools
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.db.models import Exists, F, Q
from hypothesis import given
from hypothesis import strategies as st

from tests.testapp.models import Note
from wagtail_vector_index.contract.filters import (
    FIELD_TYPES,
    MAX_INT,
    And,
    Comparison,
    IsNull,
    Not,
    Or,
    lookups_of,
    parse_filter,
    text_problem,
    value_problem,
)
from wagtail_vector_index.exceptions import InvalidFilter

FIELDS = {
    "name": "str",
    "year": "int",
    "price": "float",
    "open": "bool",
    "at": "datetime",
    "tags": "list[str]",
    "sizes": "list[int]",
}
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def parse(query):
    return parse_filter(query, FIELDS)


def error(query, fields=FIELDS):
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(query, fields)
    return str(caught.value)


class TestLookups:
    @pytest.mark.parametrize("query", [None, Q(), Q(Q()) & Q()])
    def test_no_filter(self, query):
        assert parse(query) in (None, And(()))

    @pytest.mark.parametrize(
        ("key", "value", "field", "lookup"),
        [
            ("name", "x", "name", "exact"),
            ("name__exact", "x", "name", "exact"),
            ("year", 2020, "year", "exact"),
            ("open", True, "open", "exact"),
            ("year__gt", 1, "year", "gt"),
            ("year__gte", 1, "year", "gte"),
            ("price__lt", 1.5, "price", "lt"),
            ("at__lte", NOON, "at", "lte"),
            ("tags__contains", "x", "tags", "contains"),
            ("sizes__contains", 5, "sizes", "contains"),
        ],
    )
    def test_comparisons(self, key, value, field, lookup):
        assert parse(Q(**{key: value})) == Comparison(field, FIELDS[field], lookup, value)

    @pytest.mark.parametrize(
        "values", [[3, 1, 3], (3, 1), {3: 0, 1: 0}.keys(), iter([3, 1]), range(3, 0, -2)]
    )
    def test_in_takes_any_list_and_leaves_out_duplicates(self, values):
        assert parse(Q(year__in=values)) == Comparison("year", "int", "in", (3, 1))

    def test_in_nothing(self):
        assert parse(Q(name__in=[])) == Comparison("name", "str", "in", ())

    def test_range_is_two_comparisons(self):
        assert parse(Q(year__range=(1, 5))) == And(
            (Comparison("year", "int", "gte", 1), Comparison("year", "int", "lte", 5))
        )

    @pytest.mark.parametrize("name", FIELDS)
    def test_isnull(self, name):
        null = IsNull(name, FIELDS[name])
        assert parse(Q(**{f"{name}__isnull": True})) == null
        assert parse(Q(**{f"{name}__isnull": False})) == Not(null)

    def test_none_is_null(self):
        assert parse(Q(year=None)) == IsNull("year", "int")

    def test_and_or_not(self):
        a, b = Comparison("year", "int", "exact", 1), Comparison("open", "bool", "exact", True)
        assert parse(Q(year=1, open=True)) in (And((b, a)), And((a, b)))
        assert parse(Q(year=1) & Q(open=True)) == And((a, b))
        assert parse(Q(year=1) | Q(open=True)) == Or((a, b))
        assert parse(~Q(year=1)) == Not(a)
        assert parse(~(Q(year=1) | ~Q(open=True))) == Not(Or((a, Not(b))))

    def test_an_empty_q_says_nothing_negated_or_not(self):
        assert parse(~Q()) is None
        assert parse(Q(~Q(), year=1)) == parse(Q(year=1))


class TestValues:
    def test_an_int_for_a_float_becomes_one(self):
        value = parse(Q(price=2)).value
        assert type(value) is float

    def test_enumerations_become_their_values(self):
        class Color(str, enum.Enum):  # noqa: UP042  # whose str() is not its value
            RED = "red"

        class Size(enum.IntEnum):
            BIG = 5

        assert type(parse(Q(name=Color.RED)).value) is str
        assert parse(Q(name=Color.RED)).value == "red"
        assert type(parse(Q(year=Size.BIG)).value) is int

    def test_datetimes_are_one_instant_whatever_the_zone(self):
        there = NOON.astimezone(timezone(timedelta(hours=2)))
        assert parse(Q(at__in=[NOON, there])).value == (NOON,)

    @pytest.mark.parametrize("value", [MAX_INT, -MAX_INT])
    def test_the_largest_ints(self, value):
        assert parse(Q(year=value)).value == value


class TestErrors:
    @pytest.mark.parametrize(
        ("query", "message"),
        [
            (Q(yeer=1), "'yeer' is not a filterable field. Did you mean 'year'? Declared: at (da"),
            (Q(nonsense=1), "'nonsense' is not a filterable field. Declared: at (datetime), name"),
            (Q(name__gt="a"), "'name' is of type str, which has no lookup 'gt'. Lookups of str: e"),
            (Q(tags="a"), "'tags' is of type list[str], which has no lookup 'exact'."),
            (Q(tags__in=["a"]), "Lookups of list[str]: contains, isnull."),
            (Q(year__contains=1), "exact, in, gt, gte, lt, lte, range, isnull."),
            (Q(open__gt=True), "Lookups of bool: exact, in, isnull."),
            (Q(year__gte__foo=1), "has no lookup 'gte__foo'"),
            (Q(year="1"), "year__exact='1': expected an int, not str."),
            (Q(year=True), "year__exact=True: expected an int, not bool."),
            (Q(year=1.0), "expected an int, not float."),
            (Q(year=F("other")), "expected an int, not F."),
            (Q(price="1"), "expected a float, not str."),
            (Q(price=True), "expected a float, not bool."),
            (Q(price=Decimal(1)), "expected a float, not Decimal."),
            (Q(price=float("nan")), "floats must be finite."),
            (Q(price=float("inf")), "floats must be finite."),
            (Q(price=2**53), "integers must lie within ±(2^53-1)."),
            (Q(year=2**53), "integers must lie within ±(2^53-1)."),
            (Q(year=-(2**53)), "integers must lie within ±(2^53-1)."),
            (Q(year=10**5000), "year__exact=<int>: integers must lie within"),
            (Q(open=1), "expected a bool, not int."),
            (Q(name=5), "expected a str, not int."),
            (Q(name="a\x00"), "texts must not hold a NUL character."),
            (Q(name="\ud800"), "texts must not hold lone surrogates."),
            (Q(at="2026-11-03"), "expected a datetime, not str."),
            (Q(at=date(2026, 11, 3)), "expected a datetime, not date."),
            (
                Q(at=NOON.replace(tzinfo=None)),
                "datetimes must be aware: convert them with django.utils.timezone.make_a",
            ),
            (
                Q(at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
                "datetimes must lie within the years 1 to 9999",
            ),
            (Q(year__in="12"), "year__in needs a list of values, not '12'."),
            (Q(year__in=b"12"), "year__in needs a list of values"),
            (Q(year__in=bytearray(b"12")), "year__in needs a list of values"),
            (Q(year__in={1: 2}), "year__in needs a list of values, not {1: 2}."),
            (Q(year__in=5), "year__in needs a list of values, not 5."),
            (Q(year__in=None), "year__in needs a list of values, not None."),
            (Q(year__in=list), "year__in needs a list of values, not <class 'list'>."),
            (Q(year__in=[1, None]), "year__in=None: expected an int, not NoneType."),
            (Q(year__range=(1,)), "year__range needs two values, the lowest and the highest"),
            (Q(year__range=5), "year__range needs a list of values, not 5."),
            (Q(year__range=(1, "2")), "year__range='2': expected an int"),
            (Q(year__gt=None), "year__gt=None: expected an int, not NoneType."),
            (Q(year__isnull=1), "year__isnull must be True or False, not 1."),
            (Q(tags__contains=["a"]), "tags__contains=['a']: expected a str, not list."),
            (Q(sizes__contains="a"), "expected an int, not str."),
            (Q(year=1) ^ Q(open=True), "combined with & and | and negated with ~, not XOR."),
            (Q(Exists(Note.objects.all())), "A filter is made of Q(field=value)"),
            ({"year": 1}, "A filter is made of Q(field=value) and Q(field__lookup=value), not of"),
            ("year", "A filter is made of Q(field=value)"),
            (5, "not of 5."),
        ],
    )
    def test_say_what_is_wrong_and_what_there_is(self, query, message):
        assert message in error(query)

    def test_no_fields_are_declared(self):
        assert "Declared: none. To filter by it, list it in" in error(Q(year=1), {})

    def test_a_long_value_is_cut(self):
        assert len(error(Q(year="x" * 10_000))) < 300

    def test_nested_too_deeply(self):
        query = Q(year=1)
        for negated in itertools.islice(itertools.cycle([True, False]), 3000):
            query = Q(query, _negated=negated)
        assert error(query) == "The filter is nested too deeply."

    def test_an_error_of_an_iterator_is_its_own(self):
        with pytest.raises(ZeroDivisionError):
            parse(Q(year__in=(1 // 0 for _ in range(1))))


class TestStoredValues:
    @pytest.mark.parametrize(
        ("type_", "value"),
        [
            *((type_, None) for type_ in FIELD_TYPES),
            ("str", ""),
            ("int", 0),
            ("float", 1),
            ("float", -0.5),
            ("bool", False),
            ("datetime", "2026-11-03T12:00:00+01:00"),
            ("datetime", "2026-11-03T12:00:00.000001Z"),
            ("list[str]", []),
            ("list[str]", ["a", "a"]),
            ("list[int]", [1]),
        ],
    )
    def test_right(self, type_, value):
        assert value_problem(type_, value) == ""

    @pytest.mark.parametrize(
        ("type_", "value", "problem"),
        [
            ("str", 5, "expected a str, not int."),
            ("int", True, "expected an int, not bool."),
            ("float", float("nan"), "floats must be finite."),
            ("datetime", "2026-11-03", "datetimes must be aware"),
            ("datetime", "yesterday", "must be ISO 8601 text with an offset, not 'yesterday'."),
            ("datetime", 5, "must be ISO 8601 text with an offset, not 5."),
            ("datetime", NOON, "must be ISO 8601 text with an offset"),
            ("datetime", "0001-01-01T00:00:00+01:00", "within the years 1 to 9999"),
            ("list[str]", "a", "a list[str] must be a list, not str."),
            ("list[str]", ("a",), "a list[str] must be a list, not tuple."),
            ("list[str]", ["a", None], "expected a str, not NoneType."),
            ("list[int]", [1, 2**53], "integers must lie within"),
        ],
    )
    def test_wrong(self, type_, value, problem):
        assert problem in value_problem(type_, value)

    def test_texts(self):
        assert text_problem("ключ 🔑") == ""
        assert text_problem("\udfff") != ""


# What a filter means, said once more in plain Python.

SCALARS = {
    "str": st.sampled_from(["", "a", "b", "é", "Z"]),
    "int": st.integers(-2, 2) | st.sampled_from([MAX_INT, -MAX_INT]),
    "float": st.sampled_from([-1.5, 0.0, 1.0, 2.5]),
    "bool": st.booleans(),
    "datetime": st.sampled_from([NOON, NOON + timedelta(microseconds=1), NOON - timedelta(1)]),
}
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        name: st.none()
        | (
            st.lists(SCALARS[type_[5:-1]], max_size=3)
            if type_.startswith("list")
            else SCALARS[type_]
        )
        for name, type_ in FIELDS.items()
    },
)


@st.composite
def leaves(draw):
    name = draw(st.sampled_from(sorted(FIELDS)))
    scalar = SCALARS[FIELDS[name].removeprefix("list[").removesuffix("]")]
    lookup = draw(st.sampled_from(lookups_of(FIELDS[name])))
    value = {
        "in": st.lists(scalar, max_size=3),
        "range": st.tuples(scalar, scalar),
        "isnull": st.booleans(),
    }.get(lookup, scalar)
    return Q(**{f"{name}__{lookup}": draw(value)})


def combined(inner):
    return (
        st.builds(lambda q: ~q, inner)
        | st.builds(lambda a, b: a & b, inner, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
    )


QUERIES = st.recursive(leaves(), combined, max_leaves=8)


def matches(node, record):
    if node is None:
        return True
    if isinstance(node, Not):
        return not matches(node.child, record)
    if isinstance(node, And):
        return all(matches(child, record) for child in node.children)
    if isinstance(node, Or):
        return any(matches(child, record) for child in node.children)
    value = record.get(node.field)
    missing = value is None or value == []
    if isinstance(node, IsNull):
        return missing
    return not missing and COMPARE[node.lookup](value, node.value)


COMPARE = {
    "exact": lambda a, b: a == b,
    "in": lambda a, b: a in b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "contains": lambda a, b: b in a,
}


def evaluate(query, record):
    return matches(parse(query), record)


class TestMeaning:
    @given(QUERIES, RECORDS)
    def test_double_negation(self, q, record):
        assert evaluate(~~q, record) == evaluate(q, record)

    @given(QUERIES, RECORDS)
    def test_excluded_middle(self, q, record):
        assert evaluate(~q, record) is not evaluate(q, record)

    @given(QUERIES, QUERIES, RECORDS)
    def test_de_morgan(self, a, b, record):
        assert evaluate(~(a & b), record) == evaluate(~a | ~b, record)
        assert evaluate(~(a | b), record) == evaluate(~a & ~b, record)

    @given(QUERIES, QUERIES, RECORDS)
    def test_and_or(self, a, b, record):
        assert evaluate(a & b, record) == (evaluate(a, record) and evaluate(b, record))
        assert evaluate(a | b, record) == (evaluate(a, record) or evaluate(b, record))

    @given(leaves(), RECORDS)
    def test_no_value_matches_no_comparison_and_every_negated_one(self, q, record):
        ((key, _),) = q.children
        name, _, lookup = key.partition("__")
        if lookup != "isnull":
            for empty in ({}, {name: None}, {name: []}):
                assert not evaluate(q, record | {name: None} | empty)
                assert evaluate(~q, record | {name: None} | empty)

    @given(st.lists(SCALARS["int"]), RECORDS)
    def test_in_is_any_of_exact(self, values, record):
        expected = any(evaluate(Q(year=value), record) for value in values)
        assert evaluate(Q(year__in=values), record) == expected

    @given(SCALARS["int"], SCALARS["int"], RECORDS)
    def test_range_is_both_bounds(self, low, high, record):
        expected = evaluate(Q(year__gte=low) & Q(year__lte=high), record)
        assert evaluate(Q(year__range=(low, high)), record) == expected


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.decimals()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(object)
    | st.builds(F, st.text()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=2)
        | st.builds(iter, st.lists(inner, max_size=2))
    ),
    max_leaves=5,
)
KEYS = st.text() | st.builds(
    "__".join,
    st.lists(st.sampled_from([*FIELDS, "in", "gt", "range", "isnull", "contains", ""]), max_size=3),
)


def any_query(inner):
    return st.builds(
        lambda children, connector, negated: Q(*children, _connector=connector, _negated=negated),
        st.lists(inner, max_size=3),
        st.sampled_from([Q.AND, Q.OR, Q.XOR]),
        st.booleans(),
    )


@pytest.mark.parametrize("lookup", ["in", "range"])
def test_an_expression_is_no_list_of_values(lookup):
    with pytest.raises(InvalidFilter, match=r"not F\(other\)"):
        parse(Q(**{f"year__{lookup}": F("other")}))


class TestAnything:
    @given(st.recursive(st.tuples(KEYS, ANYTHING) | ANYTHING, any_query, max_leaves=8))
    def test_is_parsed_or_an_invalid_filter(self, query):
        try:
            parsed = parse(query)
        except InvalidFilter:
            return
        assert parsed is None or isinstance(parsed, (And, Or, Not, Comparison, IsNull))

    @given(st.sampled_from(sorted(FIELDS)), st.data())
    def test_any_value_of_any_lookup(self, name, data):
        lookup = data.draw(st.sampled_from(lookups_of(FIELDS[name])))
        try:
            parse(Q(**{f"{name}__{lookup}": data.draw(ANYTHING)}))
        except InvalidFilter as caught:
            assert name in str(caught)  # noqa: PT017


class TestParsedAlready:
    """A search parses its filter once, and vector backends take the tree."""

    FILTERS = (
        Q(name="bread"),
        Q(year__gte=2020) & ~Q(tags__contains="x"),
        Q(name__in=["a", "b"]) | Q(at__isnull=True),
        Q(year__range=(1, 2)),
    )

    @pytest.mark.parametrize("query", FILTERS)
    def test_a_tree_stays_what_it_is(self, query):
        tree = parse_filter(query, FIELDS)
        assert parse_filter(tree, FIELDS) is tree

    @pytest.mark.parametrize("query", FILTERS)
    def test_its_fields_must_be_declared(self, query):
        tree = parse_filter(query, FIELDS)
        with pytest.raises(InvalidFilter, match=r"is not a filterable field\. Declared: other"):
            parse_filter(tree, {"other": "str"})

    @pytest.mark.parametrize("query", FILTERS)
    def test_they_must_be_of_the_type_that_it_was_parsed_for(self, query):
        tree = parse_filter(query, FIELDS)
        with pytest.raises(InvalidFilter, match=r"is of type list\[int\], which has no lookup"):
            parse_filter(tree, dict.fromkeys(FIELDS, "list[int]"))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (Q(year=2020), Comparison("year", "float", "exact", 2020.0)),
            (Q(year__isnull=True), IsNull("year", "float")),
            (~Q(year__in=[1, 2]), Not(Comparison("year", "float", "in", (1.0, 2.0)))),
            (
                Q(name="a") | Q(year__lt=3),
                Or(
                    (
                        Comparison("name", "str", "exact", "a"),
                        Comparison("year", "float", "lt", 3.0),
                    )
                ),
            ),
        ],
    )
    def test_it_gets_the_types_of_other_fields_if_its_values_fit(self, query, expected):
        """As while a field has another type in the code than in the collection in use."""
        tree = parse_filter(query, FIELDS)
        assert parse_filter(tree, {**FIELDS, "year": "float"}) == expected
        assert parse_filter(expected, FIELDS) == tree

    def test_trees_that_are_too_deep_are_refused(self):
        tree = parse_filter(Q(name="bread"), FIELDS)
        for _ in range(100_000):
            tree = Not(tree)
        with pytest.raises(InvalidFilter, match="nested too deeply"):
            parse_filter(tree, FIELDS)


def test_in_takes_a_bounded_number_of_values():
    fields = {"n": "int"}
    most = parse_filter(Q(n__in=range(100_000)), fields)
    assert len(most.value) == 100_000
    for values in (range(100_001), (0 for _ in range(1_000_000))):
        with pytest.raises(InvalidFilter, match="n__in takes at most 100,000 values, not 1"):
            parse_filter(~Q(n__in=values), fields)
