"""What a collection is."""

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.contract.filters import FIELD_TYPES
from wagtail_vector_index.contract.metrics import METRICS
from wagtail_vector_index.contract.spec import CollectionSpec, check_name
from wagtail_vector_index.exceptions import InvalidSpec

FIELDS = {"locale": "str", "year": "int"}


def spec(**changes):
    return CollectionSpec(**{"name": "blog", "dimensions": 3, "fields": FIELDS} | changes)


@pytest.mark.parametrize("name", ["a", "blog", "blog_2", "b1", "a_", "x" * 48])
def test_names(name):
    assert spec(name=name).name == name
    assert spec(fields={name: "str"}).fields == {name: "str"}


@pytest.mark.parametrize(
    "name",
    ["", "x" * 49, "Blog", "2a", "_a", "a__b", "a-b", "a.b", "a b", "é", "a\n", None, 5, b"a"],
)
def test_names_that_are_not(name):
    with pytest.raises(InvalidSpec, match="is not a collection name: use 1 to 48 lower-case"):
        spec(name=name)
    with pytest.raises(InvalidSpec, match="is not a field name: use 1 to 48 lower-case"):
        spec(fields={name: "str"})


@given(st.text())
def test_any_name_is_accepted_or_an_invalid_spec(name):
    try:
        check_name(name, "name")
    except InvalidSpec:
        return
    assert name.isascii()
    assert name.isidentifier()


@pytest.mark.parametrize("dimensions", [0, -1, 1.0, True, "3", None])
def test_dimensions(dimensions):
    with pytest.raises(InvalidSpec, match="blog: dimensions must be an int of at least 1, not"):
        spec(dimensions=dimensions)


@pytest.mark.parametrize("metric", METRICS)
def test_metrics(metric):
    assert spec(metric=metric).metric == metric
    assert spec().metric == "cosine"


@pytest.mark.parametrize("metric", ["l2", "", None, 5])
def test_metrics_that_are_not(metric):
    with pytest.raises(InvalidSpec, match="metric must be one of cosine, dot, euclidean, not"):
        spec(metric=metric)


@pytest.mark.parametrize("type_", FIELD_TYPES)
def test_types_of_fields(type_):
    assert spec(fields={"a": type_}).fields["a"] == type_


@pytest.mark.parametrize("type_", ["string", "list", str, None, ["str"]])
def test_types_that_are_not(type_):
    with pytest.raises(
        InvalidSpec, match="blog: field 'a' must have one of the types str, int, fl"
    ):
        spec(fields={"a": type_})


@pytest.mark.parametrize("fields", [None, ["locale"], "locale", {"a"}])
def test_fields_that_are_no_mapping(fields):
    with pytest.raises(InvalidSpec, match="blog: fields must map names to types, not"):
        spec(fields=fields)


def test_it_cannot_be_changed():
    fields = dict(FIELDS)
    made = spec(fields=fields)
    fields["more"] = "str"
    assert made.fields == FIELDS
    with pytest.raises(TypeError):
        made.fields["more"] = "str"
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "other"


def test_equal_ones_are_one_key():
    other = spec(fields=dict(reversed(FIELDS.items())))
    assert spec() == other
    assert {spec(): 1}[other] == 1


@pytest.mark.parametrize(
    "changes", [{"name": "b"}, {"dimensions": 4}, {"metric": "dot"}, {"fields": {}}]
)
def test_others_are_not(changes):
    assert spec(**changes) != spec()


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, dataclasses.replace, lambda s: pickle.loads(pickle.dumps(s))],
)
def test_copies_are_equal(copied):
    assert copied(spec(metric="dot")) == spec(metric="dot")


def test_the_shape_is_a_text_that_stores_can_keep():
    """Stores compare it with texts of earlier releases, so it stays as it is."""
    shape = "3 dimensions under cosine with the fields (locale str, year int)"
    assert spec().shape == shape
    assert spec(name="other", fields=dict(reversed(FIELDS.items()))).shape == shape


@pytest.mark.parametrize(
    "changes",
    [
        {"dimensions": 4},
        {"metric": "dot"},
        {"fields": {}},
        {"fields": {"locale": "str"}},
        {"fields": {"locale": "str", "year": "float"}},
        {"fields": {"locale": "str", "years": "int"}},
    ],
)
def test_other_shapes_are_other_texts(changes):
    assert spec(**changes).shape != spec().shape
