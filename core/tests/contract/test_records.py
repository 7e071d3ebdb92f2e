"""What travels to a backend: ids and vectors in two buffers, metadata as texts."""

import dataclasses
import enum
import itertools
import json
import pickle
from array import array
from types import MappingProxyType
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.contract.records import (
    Match,
    Record,
    RecordBatch,
    field_values,
    float32,
    metadata_problem,
)
from wagtail_vector_index.exceptions import InvalidRecord, InvalidVector

IDS = [UUID(int=number) for number in range(1, 5)]
VECTORS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [0.5, 0.25, 0.125]]
FLAT = array("f", itertools.chain.from_iterable(VECTORS))
METADATA = [{"n": number} for number in range(4)]


def batch():
    return RecordBatch.of(ids=IDS, vectors=VECTORS, metadata=METADATA)


def records(batch):
    return [(record.id, list(record.vector), record.metadata) for record in batch]


EXPECTED = list(zip(IDS, VECTORS, METADATA, strict=True))


class TestMaking:
    def test_from_lists(self):
        made = batch()
        assert len(made) == 4
        assert made.dimensions == 3
        assert made.uuids == IDS
        assert not made.checked
        assert records(made) == EXPECTED
        assert isinstance(next(iter(made)), Record)

    def test_the_layout_is_what_numpy_wraps(self):
        made = batch()
        assert bytes(made.ids) == b"".join(id.bytes for id in IDS)
        assert bytes(made.vectors) == FLAT.tobytes()
        assert made.vector(1).tolist() == VECTORS[1]

    def test_from_iterators(self):
        made = RecordBatch.of(ids=iter(IDS), vectors=map(tuple, VECTORS), metadata=iter(METADATA))
        assert records(made) == EXPECTED

    def test_from_rows(self):
        rows = [
            (id.bytes, array("f", vector).tobytes(), json.dumps(metadata))
            for id, vector, metadata in EXPECTED
        ]
        assert records(RecordBatch.from_rows(rows, 3)) == EXPECTED
        assert len(RecordBatch.from_rows([], 3)) == 0

    def test_from_one_buffer(self):
        flat = memoryview(FLAT).cast("B").cast("f", (4, 3))
        made = RecordBatch.of(ids=IDS, vectors=flat, metadata=METADATA)
        assert records(made) == EXPECTED

    def test_from_numpy(self):
        numpy = pytest.importorskip("numpy")
        for dtype in ("float32", "float64", ">f4", "float16"):
            made = RecordBatch.of(ids=IDS, vectors=numpy.array(VECTORS, dtype), metadata=METADATA)
            assert records(made) == EXPECTED

    def test_nothing(self):
        made = RecordBatch.of(ids=[], vectors=[])
        assert len(made) == made.dimensions == 0
        assert list(made) == made.uuids == []

    def test_without_metadata(self):
        made = RecordBatch.of(ids=IDS[:2], vectors=VECTORS[:2])
        assert [record.metadata for record in made] == [{}, {}]

    def test_metadata_may_be_any_mapping(self):
        made = RecordBatch.of(
            ids=IDS[:1], vectors=VECTORS[:1], metadata=[MappingProxyType({"a": "é"})]
        )
        assert made.metadata == ['{"a":"é"}']

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"ids": IDS[:3]}, "not 3 ids, 4 vectors and 4 metadata"),
            ({"vectors": VECTORS[:3]}, "not 4 ids, 3 vectors and 4 metadata"),
            ({"metadata": METADATA[:3]}, "not 4 ids, 4 vectors and 3 metadata"),
            ({"ids": [*IDS[:3], str(IDS[3])]}, "An id must be a uuid.UUID, not '00000000-"),
            ({"ids": [*IDS[:3], 4]}, "An id must be a uuid.UUID, not 4."),
            ({"metadata": [*METADATA[:3], None]}, "Metadata must be a dict, not None."),
            ({"metadata": [*METADATA[:3], [("a", 1)]]}, "Metadata must be a dict, not [('a', 1)]."),
            ({"metadata": [*METADATA[:3], {"a": {1}}]}, "set is not a JSON value"),
        ],
    )
    def test_columns_that_do_not_fit(self, changes, message):
        columns = {"ids": IDS, "vectors": VECTORS, "metadata": METADATA} | changes
        with pytest.raises(InvalidRecord) as caught:
            RecordBatch.of(**columns)
        assert message in str(caught.value)

    def test_vectors_of_several_sizes(self):
        with pytest.raises(
            InvalidVector, match=f"The vector of {IDS[1]} has 1 dimensions, the first has 2"
        ):
            RecordBatch.of(ids=IDS[:2], vectors=[[1, 2], [3]])

    @pytest.mark.parametrize(
        ("ids", "vectors"), [(b"\0" * 15, b"\0" * 8), (b"\0" * 16, b"\0" * 7), (b"", b"\0" * 8)]
    )
    def test_buffers_of_another_size(self, ids, vectors):
        with pytest.raises(
            InvalidRecord, match="needs 16 bytes of ids and 8 bytes of vectors, not"
        ):
            RecordBatch(ids=ids, vectors=vectors, metadata=["{}"], dimensions=2)

    def test_a_buffer_with_gaps(self):
        with_gaps = memoryview(array("f", [1, 0, 2, 0]))[::2]
        with pytest.raises(InvalidRecord, match="one contiguous buffer"):
            RecordBatch(ids=IDS[0].bytes, vectors=with_gaps, metadata=["{}"], dimensions=2)


class TestSlicing:
    @given(st.none() | st.integers(-6, 6), st.none() | st.integers(-6, 6))
    def test_as_a_list(self, start, stop):
        part = batch()[start:stop]
        assert records(part) == EXPECTED[start:stop]
        assert part.uuids == IDS[start:stop]

    def test_shares_the_buffers(self):
        vectors = bytearray(FLAT.tobytes())
        whole = RecordBatch(
            ids=b"".join(id.bytes for id in IDS),
            vectors=memoryview(vectors),
            metadata=["{}"] * 4,
            dimensions=3,
            checked=True,
        )
        part = whole[1:3][1:]
        vectors[24:28] = array("f", [99.0]).tobytes()
        assert part.vector(0).tolist() == [99.0, 8.0, 9.0]
        assert part.checked

    def test_a_step(self):
        with pytest.raises(ValueError, match="sliced without a step"):
            batch()[::2]

    def test_an_index(self):
        with pytest.raises(TypeError, match="must be sliced; iterate over it"):
            batch()[0]


class TestDuplicates:
    def test_the_last_one_counts(self):
        a, b, c = IDS[:3]
        doubled = RecordBatch.of(
            ids=[a, b, a, c, b],
            vectors=[[n] for n in range(5)],
            metadata=[{"n": n} for n in range(5)],
        )
        single = doubled.without_duplicates()
        assert records(single) == [(a, [2.0], {"n": 2}), (c, [3.0], {"n": 3}), (b, [4.0], {"n": 4})]

    def test_without_any_it_is_the_same_batch(self):
        made = batch()
        assert made.without_duplicates() is made

    def test_checked_stays_checked(self):
        doubled = RecordBatch.of(ids=[IDS[0]] * 2, vectors=[[1], [2]])
        assert dataclasses.replace(doubled, checked=True).without_duplicates().checked


class TestVectors:
    def test_a_float32_buffer_is_not_copied(self):
        source = array("f", [1, 2])
        view = float32(source)
        source[0] = 9
        assert list(view) == [9, 2]

    @pytest.mark.parametrize(
        "vector",
        [
            [1, 2],
            (1.0, 2.0),
            iter([1, 2]),
            array("d", [1, 2]),
            array("i", [1, 2]),
            memoryview(array("d", [1, 2])),
            memoryview(array("f", [1, 0, 2, 0]))[::2],
        ],
    )
    def test_whatever_holds_numbers(self, vector):
        assert list(float32(vector)) == [1.0, 2.0]

    @pytest.mark.parametrize("vector", [[], (), array("f"), array("d")])
    def test_an_empty_one(self, vector):
        assert len(float32(vector)) == 0

    @pytest.mark.parametrize(
        "vector",
        ["12", b"1234", bytearray(b"12"), None, 5, 1.5, [None], ["1"], [[1.0]], [1j], [10**400],
         object(), {"a": 1}],
    )  # fmt: skip
    def test_whatever_does_not(self, vector):
        with pytest.raises(InvalidVector, match="A vector must be a sequence of numbers"):
            float32(vector)

    def test_what_no_buffer_can_hold(self):
        numpy = pytest.importorskip("numpy")
        with pytest.raises(InvalidVector, match="A vector must be a sequence of numbers"):
            float32(numpy.array(["2026-01-01"], dtype="datetime64[D]"))

    def test_of_numpy(self):
        numpy = pytest.importorskip("numpy")
        row = numpy.arange(6, dtype="float32").reshape(3, 2)
        assert list(float32(row[1])) == [2, 3]
        assert list(float32(row[:, 1])) == [1, 3, 5]
        with pytest.raises(InvalidVector):
            float32(row.astype("float64"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


class TestMetadata:
    @pytest.mark.once
    @given(st.dictionaries(st.text("abc é🔑", min_size=1), JSON, max_size=4))
    def test_comes_back_equal(self, metadata):
        made = RecordBatch.of(ids=[IDS[0]], vectors=[[1]], metadata=[metadata])
        (record,) = made
        assert record.metadata == metadata
        assert json.loads(made.metadata[0]) == metadata

    def test_enumerations_of_texts_and_ints(self):
        class Color(str, enum.Enum):  # noqa: UP042
            RED = "red"

        metadata = {"a": Color.RED, "b": enum.IntEnum("Size", {"BIG": 5}).BIG}
        (record,) = RecordBatch.of(ids=[IDS[0]], vectors=[[1]], metadata=[metadata])
        assert record.metadata == {"a": "red", "b": 5}

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (2**63, "integers must fit into 64 bits."),
            (-(2**63) - 1, "integers must fit into 64 bits."),
            pytest.param(10**5000, "integers must fit into 64 bits.", id="endless"),
            (float("nan"), "floats must be finite."),
            (float("-inf"), "floats must be finite."),
            ("a\0", "texts must not hold a NUL character."),
            ("\ud800", "texts must not hold lone surrogates."),
            ((1, 2), "tuple is not a JSON value."),
            (b"a", "bytes is not a JSON value."),
            (uuid4(), "UUID is not a JSON value."),
            ([1, [2, {"a": {3}}]], "set is not a JSON value."),
            ({1: 2}, "keys must be texts."),
            ({"a\0": 2}, "texts must not hold a NUL character."),
        ],
    )
    def test_what_no_backend_could_hold(self, value, problem):
        assert metadata_problem(value) == problem
        assert metadata_problem({"deep": [value]}) == problem
        with pytest.raises(InvalidRecord, match="cannot be stored"):
            RecordBatch.of(ids=[IDS[0]], vectors=[[1]], metadata=[{"a": value}])

    def test_nested_too_deeply(self):
        endless = []
        endless.append(endless)
        assert metadata_problem(endless) == "it is nested too deeply."

    @given(st.integers(-(2**64), 2**64) | st.floats() | st.text(st.characters()) | st.binary())
    def test_what_is_fine_can_be_written_as_json(self, value):
        if not metadata_problem(value):
            assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "value", [Match(id=IDS[0], score=0.5), Record(id=IDS[0], vector=(1.0,), metadata={})]
)
def test_values_are_frozen_keyword_only_and_equal(value):
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    assert type(value)(**fields) == value
    with pytest.raises(TypeError):
        type(value)(*fields.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.id = IDS[1]
    assert pickle.loads(pickle.dumps(value)) == value


@given(st.lists(st.fixed_dictionaries({}, optional={"a": st.text(), "b": st.lists(st.integers())})))
def test_field_values_are_those_of_each_record(metadata):
    texts = [json.dumps(given) for given in metadata]
    assert field_values(texts, ["a", "b"]) == {
        "a": [given.get("a") for given in metadata],
        "b": [given.get("b") or None for given in metadata],
    }


def test_a_value_that_is_false_is_a_value():
    given = {"a": False, "b": 0, "c": "", "d": 0.0, "e": [], "f": None}
    values = field_values([json.dumps(given)], [*given, "g"])
    assert [value for [value] in values.values()] == [False, 0, "", 0.0, None, None, None]


def test_without_fields_no_metadata_is_read():
    assert field_values(["never read"], []) == {}
