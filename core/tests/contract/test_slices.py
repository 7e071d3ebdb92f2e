"""Parts of sequences and of batches."""

from uuid import UUID

import pytest

from wagtail_vector_index.contract import RecordBatch, bounded, slices


def batch(*texts: str) -> RecordBatch:
    """Records of two dimensions, which take 24 bytes each without their metadata."""
    ids = [UUID(int=number) for number in range(len(texts))]
    return RecordBatch.of(
        ids=ids, vectors=[[1.0, 2.0]] * len(texts), metadata=[{"t": text} for text in texts]
    )


def lengths(parts):
    return [len(part) for part in parts]


@pytest.mark.parametrize(
    ("count", "size", "found"),
    [(0, 2, []), (1, 2, [1]), (2, 2, [2]), (5, 2, [2, 2, 1]), (5, 9, [5])],
)
def test_slices_are_consecutive_and_of_the_sequences_kind(count, size, found):
    whole = list(range(count))
    parts = [*slices(whole, size)]
    assert lengths(parts) == found
    assert sum(parts, []) == whole
    assert [*slices("x" * count, size)] == ["x" * each for each in found]


def test_batches_are_sliced_too():
    whole = batch("a", "b", "c")
    parts = [*slices(whole, 2)]
    assert lengths(parts) == [2, 1]
    assert parts[0].uuids + parts[1].uuids == whole.uuids


def test_a_batch_within_both_limits_is_not_cut():
    whole = batch("a", "b", "c")
    assert [*bounded(whole, records=3, size=1_000)] == [whole]
    [empty] = bounded(batch(), records=3, size=1)
    assert not empty.uuids


def test_a_batch_is_cut_by_records():
    parts = [*bounded(batch(*"abcde"), records=2, size=1_000)]
    assert lengths(parts) == [2, 2, 1]
    assert [id.int for part in parts for id in part.uuids] == [0, 1, 2, 3, 4]


def test_a_batch_is_cut_by_bytes():
    # Each record takes 24 bytes and 9 of metadata: {"t":"a"}
    assert lengths(bounded(batch(*"abcd"), records=9, size=66)) == [2, 2]
    assert lengths(bounded(batch(*"abcd"), records=9, size=65)) == [1, 1, 1, 1]
    # Of other characters each may take four.
    assert lengths(bounded(batch(*"äbcd"), records=9, size=66)) == [1, 2, 1]


def test_a_record_beyond_the_limit_is_alone():
    assert lengths(bounded(batch("a", "x" * 99, "b"), records=9, size=70)) == [1, 1, 1]


def test_a_protocol_measures_as_it_sends():
    measured = bounded(batch(*"abcd"), records=9, size=30, fixed=10, text_size=lambda text: 5)
    assert lengths(measured) == [2, 2]
