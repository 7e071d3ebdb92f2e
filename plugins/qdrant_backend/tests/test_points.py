"""Records are converted to Qdrant's points."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wagtail_vector_index.backends.qdrant.points import short

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, (2, 3), elements=FLOATS))
def test_short_vectors_are_the_same_vectors(vectors: np.ndarray) -> None:
    text = json.dumps(short(vectors))
    assert np.array_equal(np.array(json.loads(text), np.float32), vectors)


def test_short_vectors_have_few_digits() -> None:
    vectors = np.array([[0.1, 1.0, -2.5e-8]], np.float32)
    assert json.dumps(short(vectors)) == "[[0.1, 1.0, -2.5e-08]]"
    assert len(json.dumps(vectors.tolist())) > 50
