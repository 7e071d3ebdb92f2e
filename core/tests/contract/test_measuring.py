"""A backend with an approximate index: the setting that it chooses, and its filtered searches."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from uuid import UUID

import pytest
from django.db.models import Q

from tests.testapp.backends import ApproximateBackend
from wagtail_vector_index.contract import EXACT, CollectionSpec, Recall, RecordBatch, approximate
from wagtail_vector_index.exceptions import BackendUnavailable, CollectionNotFound

SPEC = CollectionSpec(name="blog", dimensions=2, metric="euclidean", fields={"n": "int"})
COUNT = 200


@pytest.fixture(autouse=True)
def _even_small_collections_are_measured(monkeypatch):
    monkeypatch.setattr(approximate, "LEAST_RECORDS", 1)


def filled(count=COUNT, **options):
    backend = ApproximateBackend("default", ApproximateBackend.Options(**options))
    backend.create(SPEC)
    add(backend, range(count))
    return backend


def add(backend, numbers):
    backend.upsert(
        SPEC,
        RecordBatch.of(
            ids=[UUID(int=number) for number in numbers],
            vectors=[[float(number), 0.0] for number in numbers],
            metadata=[{"n": number} for number in numbers],
        ),
    )


def numbers(matches):
    return [match.id.int for match in matches]


def run_async(backend, name):
    return lambda *arguments, **named: asyncio.run(getattr(backend, name)(*arguments, **named))


# Settings


def test_the_cheapest_setting_that_is_enough_is_used():
    backend = filled()
    assert numbers(backend.search(SPEC, [100, 0], limit=3)) == [100, 96, 104]
    recall = backend.optimize(SPEC)
    assert recall.setting == {"look": 4}
    assert (recall.mean, recall.worst, recall.records) == (1.0, 1.0, COUNT)
    assert recall.questions == 200
    assert not recall.advice
    assert numbers(backend.search(SPEC, [100, 0], limit=3)) == [100, 99, 101]
    # Another process gets the setting with the spec.
    other = filled()
    tuned = replace(SPEC, recall=recall)
    assert numbers(other.search(tuned, [100, 0], limit=3)) == [100, 99, 101]


def test_a_lower_target_is_cheaper():
    assert filled(recall=0.5, looks=(1, 3, 4)).optimize(SPEC).setting == {"look": 3}


def test_asynchronous_callers_get_the_same():
    backend = filled()
    recall = run_async(backend, "aoptimize")(SPEC)
    assert recall.setting == {"look": 4}
    assert numbers(run_async(backend, "asearch")(SPEC, [100, 0], limit=3)) == [100, 99, 101]
    run_async(backend, "adrop")(SPEC)


def test_a_measurement_is_made_again_when_the_collection_has_grown():
    backend = filled()
    tuned = replace(SPEC, recall=backend.optimize(SPEC))
    backend.searched.clear()
    add(backend, range(COUNT, COUNT + COUNT // 2))
    assert backend.measure(tuned) is tuned.recall
    assert not backend.searched
    add(backend, [1_000])
    assert backend.measure(tuned).records == COUNT + COUNT // 2 + 1


def test_a_better_index_is_built_if_no_setting_is_enough(caplog):
    backend = filled(looks=(1, 2))
    backend.better = 2
    recall = backend.optimize(SPEC)
    assert (recall.setting, recall.reached, backend.links) == ({"look": 2}, True, 2)
    assert not caplog.records


def test_what_to_do_is_told_if_nothing_is_enough(caplog):
    recall = filled(looks=(1, 2)).optimize(SPEC)
    assert recall.setting == {"look": 2}
    assert not recall.reached
    assert recall.advice == "Look at more."
    assert "blog: recall 0." in caplog.text
    assert "the target is 0.98. Look at more." in caplog.text


def test_a_setting_that_the_site_chose_is_only_measured():
    backend = filled(looks=(1,))
    backend.better = 3
    recall = backend.optimize(SPEC)
    assert (recall.setting, recall.reached, backend.links) == ({"look": 1}, False, 0)


def test_a_small_collection_is_not_measured(monkeypatch):
    monkeypatch.setattr(approximate, "LEAST_RECORDS", COUNT + 1)
    assert filled().optimize(SPEC) is None


def test_a_failure_of_the_measurement_is_logged(caplog):
    backend = filled()

    def fail(method):
        if method == "search":
            raise BackendUnavailable("too slow")

    backend.before = fail
    assert backend.optimize(SPEC) is None
    assert "The recall of blog could not be measured: too slow" in caplog.text


def test_a_collection_that_is_gone_is_an_error():
    backend = filled()
    backend.before = lambda method: method == "search" and backend.drop(SPEC)
    with pytest.raises(CollectionNotFound):
        backend.measure(SPEC)


def test_questions_that_take_too_long_are_left_out(monkeypatch, caplog):
    monkeypatch.setattr(approximate, "_PATIENCE", 0)
    caplog.set_level(logging.INFO)
    assert filled().optimize(SPEC).questions == 20
    assert "recall 1.000" in caplog.text


def test_a_dropped_collection_leaves_no_setting():
    backend = filled()
    backend.optimize(SPEC)
    backend.drop(SPEC)
    backend.create(SPEC)
    add(backend, range(COUNT))
    backend.search(SPEC, [100, 0])
    assert backend.searched[-1] == {}


# Filtered searches

#: As if the collection were large: a filter keeps more than is compared one by one.
LARGE = Recall(setting={"look": 1}, records=500_000)
TUNED = replace(SPEC, recall=LARGE)


@pytest.fixture(params=["search", "asearch"])
def searching(request):
    """Runs a search with threads or with an event loop, and tells the settings it went through."""

    def search(backend, spec, **asked):
        method = backend.search
        if request.param == "asearch":
            method = run_async(backend, "asearch")
        backend.searched.clear()
        return numbers(method(spec, [0, 0], **asked)), list(backend.searched)

    return search


def test_an_answer_that_is_too_far_away_is_asked_again(searching):
    backend = filled(2_000, looks=(1, 2))
    found, settings = searching(backend, TUNED, limit=2, filter=Q(n__gte=1_001))
    assert found == [1_001, 1_002]
    # By the index, without the filter for a comparison, more widely, and at last exactly.
    assert settings == [{"look": 1}, {"look": 1}, {"look": 2}, EXACT]


def test_it_is_asked_more_widely_first(searching):
    backend = filled(2_000, looks=(1, 4))
    spec = replace(SPEC, recall=replace(LARGE, records=50_001))
    # Of 10 records without the filter, the farthest that a quarter sees is 36.
    found, settings = searching(backend, spec, limit=2, filter=Q(n__gte=34))
    assert found == [34, 35]
    assert settings == [{"look": 1}, {"look": 1}, {"look": 4}]


def test_an_answer_among_the_nearest_is_believed(searching):
    backend = filled(2_000)
    found, settings = searching(backend, TUNED, limit=2, filter=Q(n__gte=8))
    assert found == [8, 12]
    assert settings == [{"look": 1}, {"look": 1}]


def test_an_exact_answer_is_believed(searching):
    backend = filled(2_000)
    spec = replace(TUNED, recall=replace(LARGE, setting=EXACT))
    found, settings = searching(backend, spec, limit=2, filter=Q(n__gte=1_001))
    assert found == [1_001, 1_002]
    assert settings == [EXACT]


def test_a_setting_that_is_in_use_is_not_tried_twice(searching):
    backend = filled(2_000, looks=(1,))
    found, settings = searching(backend, TUNED, limit=2, filter=Q(n__gte=1_001))
    assert found == [1_001, 1_002]
    assert settings == [{"look": 1}, {"look": 1}, EXACT]


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (TUNED, {}),
        (SPEC, {"filter": Q(n__gte=1_001)}),
        (replace(SPEC, recall=replace(LARGE, records=50_000)), {"filter": Q(n__gte=1_001)}),
        (TUNED, {"filter": Q(n__gte=1_001), "limit": 101}),
    ],
    ids=["no filter", "not measured", "small", "many matches"],
)
def test_other_searches_are_not_repeated(searching, spec, asked):
    backend = filled(2_000)
    _, settings = searching(backend, spec, **asked)
    assert len(settings) == 1


@pytest.mark.parametrize("failing", [2, 3, 4])
def test_an_answer_that_cannot_be_checked_is_better_than_none(searching, caplog, failing):
    backend = filled(2_000, looks=(1, 2))

    def fail(method):
        if method == "search" and len(backend.searched) == failing - 1:
            raise BackendUnavailable("it took too long")

    backend.before = fail
    found, _ = searching(backend, TUNED, limit=2, filter=Q(n__gte=1_001))
    assert found == ([1_001, 1_004] if failing == 4 else [1_004, 1_008])
    assert "blog: a filtered search may lack nearer records" in caplog.text
    assert "it took too long" in caplog.text


def test_a_search_that_fails_is_an_error(searching):
    backend = filled(2_000)

    def fail(method):
        raise BackendUnavailable("it is down")

    backend.before = fail
    with pytest.raises(BackendUnavailable):
        searching(backend, TUNED, limit=2, filter=Q(n__gte=1_001))
