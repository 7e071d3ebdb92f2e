"""The facts of each metric, beside what the validation and the arrays do with them."""

import math

import numpy as np
import pytest

from wagtail_vector_index.contract import FACTS, METRICS
from wagtail_vector_index.contract.arrays import first_invalid, scores, stored, stored_query
from wagtail_vector_index.contract.validation import is_invalid, vector_problem

ROWS = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
ZERO = np.zeros((1, 8), np.float32)


def test_each_metric_has_its_facts():
    assert tuple(FACTS) == METRICS


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_within_the_range(metric):
    facts = FACTS[metric]
    for score in scores(ROWS, ROWS[0], metric):
        assert facts.lowest <= score <= facts.highest
        assert facts.clipped(score) == score


@pytest.mark.parametrize("metric", METRICS)
def test_zero_is_valid_or_not_in_both_validations(metric):
    invalid = not FACTS[metric].zero_is_valid
    assert is_invalid(memoryview(ZERO[0]), metric) is invalid
    assert first_invalid(np.concatenate([ROWS, ZERO]), metric) == (50 if invalid else None)


@pytest.mark.parametrize("metric", METRICS)
def test_long_vectors_are_valid_or_not_in_both_validations(metric):
    long = np.array([[8e17, 0.0, -8e17, 0.0]], np.float32)
    invalid = not FACTS[metric].ignores_length
    assert is_invalid(memoryview(long[0]), metric, 1e18) is invalid
    assert is_invalid(memoryview(long[0] / 2), metric, 1e18) is False
    assert is_invalid(memoryview(long[0]), metric) is False
    shorter = long.repeat(50, axis=0) / 2
    assert first_invalid(np.concatenate([shorter, long]), metric, 1e18) == (50 if invalid else None)
    assert first_invalid(np.concatenate([shorter, long]), metric) is None


def test_a_vector_that_is_too_long_is_named_with_its_length():
    assert "the length 5e+20" in vector_problem(memoryview(np.array([3e20, 4e20], np.float32)))


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_is_as_what_is_stored(metric):
    query = stored_query(memoryview(ROWS[3]), metric)
    assert query.shape == (8,)
    assert query == pytest.approx(stored(ROWS, metric)[3], abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_length_of_what_is_stored(metric):
    lengths = np.linalg.norm(stored(ROWS, metric), axis=1)
    assert np.allclose(lengths, 1.0) is FACTS[metric].ignores_length


@pytest.mark.parametrize("metric", METRICS)
def test_a_distance_is_minus_the_score(metric):
    [score] = scores(ROWS[:1], -ROWS[0], metric)
    distance = float(np.linalg.norm(ROWS[0] - -ROWS[0]))
    assert math.isclose(-score, distance, rel_tol=1e-5) is FACTS[metric].is_distance


@pytest.mark.parametrize(
    ("metric", "score", "clipped"),
    [("cosine", 1.0000001, 1.0), ("cosine", -1.0000001, -1.0), ("dot", 1e9, 1e9)],
)
def test_what_rounding_moved_out_of_the_range_is_clipped(metric, score, clipped):
    assert FACTS[metric].clipped(score) == clipped
