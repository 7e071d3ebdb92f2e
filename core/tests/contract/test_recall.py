"""The recall of searches: how it is measured, and which setting is chosen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.contract import CollectionSpec, Recall, RecordBatch, check_recall
from wagtail_vector_index.contract.recall import cheapest, questions, share_found

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=20)
SETTINGS = [{"ef": 10}, {"ef": 20}, {"ef": 40}]
RIGHT = [[0.9, 0.8], [0.7, 0.6]]


@given(SCORES)
def test_the_nearest_are_all_there(right):
    assert share_found(right, right) == 1.0


@given(SCORES, st.lists(st.floats(-1, 1), max_size=20))
def test_a_share_lies_between_none_and_all(right, found):
    assert 0.0 <= share_found(found, right) <= 1.0
    assert share_found([], right) == 0.0


def test_equally_near_records_are_as_good():
    assert share_found([0.9, 0.8, 0.8 - 1e-7], [0.9, 0.8, 0.8]) == 1.0
    assert share_found([0.9, 0.7, 0.7], [0.9, 0.8, 0.8]) == pytest.approx(1 / 3)
    # Distances and products may be large.
    assert share_found([-1e6 - 1.0], [-1e6]) == 1.0
    assert share_found([-1e6 - 100.0], [-1e6]) == 0.0


def test_a_search_that_finds_nothing_where_nothing_is():
    assert share_found([], []) == 1.0


@pytest.mark.parametrize(
    ("found", "chosen", "mean", "worst"),
    [
        ({10: RIGHT}, 10, 1.0, 1.0),
        ({10: [[0.9], [0.7]], 20: RIGHT}, 20, 1.0, 1.0),
        # The mean is enough, but one question finds too little.
        ({10: [[0.9, 0.8], []], 20: RIGHT}, 20, 1.0, 1.0),
        # No setting is enough: the best one, and the cheapest of these.
        ({10: [[], []], 20: [[0.9, 0.8], [0.7]], 40: [[0.9, 0.8], [0.7]]}, 20, 0.75, 0.5),
    ],
)
def test_the_cheapest_setting_that_is_enough(found, chosen, mean, worst):
    tried = []

    def searched(setting):
        tried.append(setting["ef"])
        return found[setting["ef"]]

    recall = cheapest(SETTINGS, RIGHT, searched, target=0.98, records=5)
    assert (recall.setting, recall.mean, recall.worst) == ({"ef": chosen}, mean, worst)
    assert tried == list(found)
    assert recall.reached == (mean == 1.0)
    assert recall.records == 5


def batch(*vectors):
    return RecordBatch.of(ids=[UUID(int=row) for row in range(len(vectors))], vectors=vectors)


def test_questions_are_stored_vectors_and_mixtures():
    asked = questions(batch([3.0, 0.0], [0.0, 3.0]))
    assert [one.tolist() for one in asked] == [[3, 0], [2, 1], [0, 3], [1, 2]]


def test_a_mixture_of_opposites_has_no_direction():
    asked = questions(batch([1.0], [-2.0]))
    assert [one.tolist() for one in asked] == [[1], [-2], [-1]]


def test_large_components_do_not_overflow():
    asked = questions(batch([3e38], [2e38]))
    assert all(abs(one[0]) < float("inf") for one in asked)


RECALL = Recall(
    setting={"ef": 200},
    mean=0.991,
    worst=0.7,
    questions=200,
    records=300_000,
    measured_at=datetime(2026, 11, 28, 12, tzinfo=UTC),
)


def test_it_is_kept_as_json():
    assert Recall.from_json(json.loads(json.dumps(RECALL.as_json()))) == RECALL
    never = Recall(setting={"ef": 200})
    assert Recall.from_json(json.loads(json.dumps(never.as_json()))) == never


def test_one_that_was_never_measured_does_not_hold():
    never = Recall(setting={"ef": 200}, records=10)
    assert not never.holds(records=10, target=never.target, settings=[{"ef": 200}])


def test_it_is_told_in_a_sentence():
    assert str(RECALL) == (
        "recall 0.991, worst 0.70, of 200 sampled searches of 300,000 records, with ef 200"
    )
    low = Recall(setting={"ef": 7}, mean=0.9, worst=0.6, target=0.95, questions=200)
    assert str(low).endswith("with ef 7; the target is 0.95")


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, True),
        ({"records": 450_000}, True),
        ({"records": 450_001}, False),
        ({"records": 10}, True),
        ({"target": 0.99}, False),
        ({"settings": [{"ef": 50}]}, False),
    ],
)
def test_a_measurement_holds_until_the_collection_or_the_options_change(changed, holds):
    given = {"records": 300_000, "target": 0.98, "settings": [{"ef": 100}, {"ef": 200}]}
    assert RECALL.holds(**(given | changed)) is holds


def test_it_is_no_part_of_a_collections_shape():
    spec = CollectionSpec(name="blog", dimensions=2)
    tuned = CollectionSpec(name="blog", dimensions=2, recall=RECALL)
    assert tuned == spec
    assert hash(tuned) == hash(spec)
    assert (spec.setting, tuned.setting) == ({}, {"ef": 200})
    assert tuned.searched_with({"ef": 7}).setting == {"ef": 7}


@pytest.mark.parametrize("target", [0.49, 1.01])
def test_a_target_out_of_range(target):
    with pytest.raises(ValueError, match=r"'RECALL' must be from 0.5 to 1"):
        check_recall(target)
    check_recall(0.5)
    check_recall(1)
