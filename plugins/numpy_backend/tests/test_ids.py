from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.backends.numpy.ids import Ids, keys_of


def keys(*numbers):
    return keys_of(b"".join(number.to_bytes(16) for number in numbers))


def append(ids, *numbers):
    ids.reserve(len(numbers))
    ids.append(keys(*numbers))


def test_empty():
    ids = Ids()
    assert len(ids) == 0
    assert ids.find(keys(1, 2)).tolist() == [-1, -1]
    assert ids.find(keys()).tolist() == []


@pytest.mark.parametrize("step", [1, 2**8, 2**32, 2**64, 2**120])
def test_ids_that_differ_in_few_bits(step):
    numbers = [step * n for n in range(250)]
    ids = Ids()
    append(ids, *numbers)
    assert ids.find(keys(*numbers)).tolist() == list(range(250))
    assert (ids.find(keys(*(number + 2**100 + 3 for number in numbers))) == -1).all()
    # Spread evenly, so that none is far from where it is looked for.
    taken = np.flatnonzero(ids._slots >= 0)
    assert len(np.unique(taken // 64)) > len(ids._slots) // 64 // 2


def test_table_is_cleaned_of_what_was_deleted():
    ids = Ids()
    append(ids, *range(10))
    for number in range(10, 3_000):
        ids.remove(np.array([0]))
        ids.move(np.array([9]), np.array([0]))
        ids.truncate(9)
        append(ids, number)
    assert len(ids) == 10
    assert ids.nbytes < 4_000


@given(
    st.lists(
        st.tuples(st.booleans(), st.sets(st.integers(0, 40), max_size=12)), min_size=1, max_size=30
    )
)
def test_like_a_dict(steps):
    ids, model = Ids(), {}
    for adding, chosen in steps:
        if adding:
            new = [number for number in chosen if number not in model]
            model |= {number: len(ids) + offset for offset, number in enumerate(new)}
            append(ids, *new)
        else:
            _delete(ids, model, [number for number in chosen if number in model])
        assert ids.find(keys(*range(41))).tolist() == [model.get(n, -1) for n in range(41)]
        by_row = sorted(model, key=model.get)
        assert ids.keys(slice(None)).tobytes() == keys(*by_row).tobytes()
        rows = np.arange(len(ids))
        assert ids.rank(rows).tolist() == np.argsort(np.argsort(by_row)).tolist()


def _delete(ids, model, numbers):
    rows = np.array([model.pop(number) for number in numbers], np.intp)
    count = len(ids) - len(rows)
    by_row = {row: number for number, row in model.items()}
    sources = np.array([row for row in range(count, len(ids)) if row in by_row], np.intp)
    targets = rows[rows < count]
    ids.remove(rows)
    ids.move(sources, targets)
    ids.truncate(count)
    for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
        model[by_row[source]] = target
