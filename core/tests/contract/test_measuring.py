"""A backend with an approximate index: the setting that it chooses, and its filtered searches."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db.models import Q

from tests.testapp.backends import ApproximateBackend
from wagtail_vector_index.contract import (
    EXACT,
    CollectionSpec,
    Recall,
    RecordBatch,
    approximate,
    spec,
    widening,
)
from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    CollectionNotFound,
)

# Arithmetic, over a backend that is Python alone.
pytestmark = pytest.mark.once

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


class ReplacingBackend(ApproximateBackend):
    """A backend whose better index has settings of its own."""

    has_lists = fails = False
    adapted = 0

    def _search_settings(self, spec):
        return (
            [{"lists": 4.0}, {"lists": 5.0}] if self.has_lists else super()._search_settings(spec)
        )

    def _search(self, spec, *arguments):
        look = spec.setting.get("lists", 0) and 4
        return super()._search(spec.searched_with({"look": look}) if look else spec, *arguments)

    def _adapt_index(self, spec):
        self.adapted += 1

    def _build_better_index(self, spec):
        self.has_lists = True
        if self.fails:
            raise BackendUnavailable("it takes too long")
        return True


def replacing(**options):
    backend = ReplacingBackend("default", ReplacingBackend.Options(**options))
    backend.create(SPEC)
    add(backend, range(COUNT))
    return backend


def test_a_better_index_has_its_own_settings():
    backend = replacing(looks=(1, 2))
    recall = backend.optimize(SPEC)
    assert recall.reached
    assert recall.setting == {"lists": 4}
    assert backend.measure(replace(SPEC, recall=recall)) == recall
    assert backend.adapted == 0


def test_a_better_index_that_cannot_be_measured_is_searched_thoroughly():
    backend = replacing(looks=(1, 2))
    backend.fails = True
    recall = backend.optimize(SPEC)
    assert not recall.is_measured
    assert recall.setting == {"lists": 5}
    assert backend.measure(replace(SPEC, recall=recall)) == recall


def test_an_index_is_adapted_before_it_is_measured_again():
    backend = replacing(looks=(1, 4))
    recall = backend.optimize(SPEC)
    assert backend.adapted == 0
    add(backend, range(COUNT, 2 * COUNT))
    backend.measure(replace(SPEC, recall=recall))
    assert backend.adapted == 1


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


class SlowBackend(ApproximateBackend):
    """Each search takes so many seconds, by its setting, and ends after 10 if nothing is said."""

    now = 0.0
    seconds = staticmethod(lambda setting: 0)
    seconds_of = staticmethod(lambda method: 0)

    def _take(self, spec, needed):
        most = spec.timeout or 10
        self.now += min(needed, most)
        if needed > most:
            raise BackendUnavailable(f"no answer within {most:g} s. Set TIMEOUT.")

    def _search(self, spec, *asked):
        try:
            self._take(spec, self.seconds(spec.setting))
        except BackendUnavailable:
            self.searched.append(dict(spec.setting))
            raise
        return super()._search(spec, *asked)

    def _count(self, spec, filter):
        self._take(spec, self.seconds_of("count"))
        return super()._count(spec, filter)

    def _sample(self, spec, count):
        self._take(spec, self.seconds_of("sample"))
        return super()._sample(spec, count)


@pytest.fixture
def slow(monkeypatch):
    """Makes a filled backend whose searches take time, by its own clock."""

    def make(seconds, **options):
        backend = SlowBackend("default", SlowBackend.Options(**options))
        backend.create(SPEC)
        add(backend, range(COUNT))
        backend.seconds = seconds
        clock = SimpleNamespace(monotonic=lambda: backend.now)
        for module in (approximate, widening, spec):
            monkeypatch.setattr(module, "time", clock)
        return backend

    return make


def exact_takes(seconds):
    return lambda setting: seconds if setting == EXACT else 0


def test_exact_searches_may_take_longer_than_a_visitor_would_wait(slow):
    recall = slow(exact_takes(11)).optimize(SPEC)
    assert (recall.setting, recall.questions, recall.advice) == ({"look": 4}, 20, "")


def test_enough_questions_are_enough_if_the_next_one_takes_too_long(slow):
    backend = slow(lambda setting: setting == EXACT and (1 if backend.now < 30 else 1_000))
    assert backend.optimize(SPEC).questions == 30
    assert backend.now == 120


@pytest.mark.parametrize("seconds", [61, 1_000])
def test_a_recall_that_takes_too_long_to_measure_is_told(slow, caplog, seconds):
    backend = slow(exact_takes(seconds))
    recall = backend.optimize(SPEC)
    assert backend.now == 600
    assert (recall.setting, recall.questions, recall.reached) == ({"look": 4}, 0, False)
    assert str(recall) == "recall not measured in 200 records, searched with look 4"
    assert recall.advice == (
        f"600 s were enough for {600 // seconds} searches that compare every record of blog, and at"
        " least 20 are needed. It is measured again by an update after a day. Until then, searches"
        " use the most thorough setting that works."
    )
    assert "The recall of blog could not be measured: 600 s were enough" in caplog.text
    assert numbers(backend.search(SPEC, [100, 0], limit=3)) == [100, 99, 101]
    # The next update does not try it again; one after a day does.
    backend.searched.clear()
    tuned = replace(SPEC, recall=recall)
    assert backend.measure(tuned) is recall
    assert not backend.searched
    before = replace(recall, measured_at=recall.measured_at - timedelta(days=2))
    backend.seconds = exact_takes(0)
    assert backend.measure(replace(SPEC, recall=before)).reached


def test_a_sample_that_takes_too_long_is_told_as_the_measurements_own(slow):
    backend = slow(exact_takes(0))
    backend.seconds_of = {"count": 0, "sample": 601}.get
    recall = backend.optimize(SPEC)
    assert recall.advice.startswith("600 s were not enough to read 100 records of blog. It is")
    backend.seconds_of = {"count": 0, "sample": 599}.get
    assert backend.optimize(SPEC).reached
    backend.seconds_of = {"count": 601}.get
    with pytest.raises(BackendUnavailable, match="600 s were not enough to count the records"):
        backend.optimize(SPEC)


def test_without_a_count_nothing_is_measured(caplog):
    backend, count = filled(), type(filled())._count

    def refuse(spec, filter):
        raise BackendRefused("Counts are forbidden.")

    backend._count = refuse
    recall = backend.optimize(SPEC)
    assert (recall.setting, recall.is_measured) == ({"look": 4}, False)
    assert recall.advice.startswith("Counts are forbidden. It is measured again")
    assert str(recall) == "recall not measured, searched with look 4"
    assert "The recall of blog could not be measured: Counts are forbidden." in caplog.text
    assert backend.measure(replace(SPEC, recall=recall)) is recall
    backend._count = lambda spec, filter: count(backend, spec, filter)
    measured = backend.measure(replace(SPEC, recall=recall))
    assert measured.reached
    backend._count = refuse
    assert backend.measure(replace(SPEC, recall=measured)) is measured


def test_a_store_that_refuses_a_long_count_is_asked_for_a_short_one():
    backend, count = filled(), type(filled())._count

    def refuse(spec, filter):
        if spec.timeout is not None:
            raise BackendRefused("Limit exceeded 600 > 60 for timeout.")
        return count(backend, spec, filter)

    backend._count = refuse
    assert backend.optimize(SPEC).reached


def test_a_store_that_refuses_exact_searches_is_told(caplog):
    backend = filled(looks=(2,))

    def refuse(spec, *asked):
        if spec.setting == EXACT:
            raise BackendRefused("Exact searches are forbidden.")
        return ApproximateBackend._search(backend, spec, *asked)

    backend._search = refuse
    recall = run_async(backend, "aoptimize")(SPEC)
    assert recall.setting == {"look": 2}
    # The site chose the only setting.
    assert recall.advice == (
        "Exact searches are forbidden. It is measured again by an update after a day."
    )


def test_the_option_to_set_is_named(slow):
    @dataclass(frozen=True, kw_only=True)
    class Options(ApproximateBackend.Options):
        look: int | None = None

    backend = slow(exact_takes(61))
    backend.options = Options()
    assert backend.optimize(SPEC).advice.endswith("If they are too slow, set LOOK.")


def test_settings_that_are_too_slow_for_visitors_are_not_chosen(slow):
    backend = slow(lambda setting: 11 if setting == {"look": 4} else 0)
    recall = backend.optimize(SPEC)
    assert (recall.setting, recall.questions, recall.advice) == (
        {"look": 2},
        200,
        "Look at more.",
    )
    backend = slow(lambda setting: 11 if setting == {"look": 4} else 61 * (setting == EXACT))
    recall = backend.optimize(SPEC)
    assert (recall.setting, recall.questions) == ({"look": 2}, 0)


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


@pytest.mark.parametrize(("seconds", "searches"), [(2, 4), (4, 3), (6, 2), (10, 1)])
def test_all_searches_together_have_the_time_of_one(slow, searching, caplog, seconds, searches):
    @dataclass(frozen=True, kw_only=True)
    class Options(ApproximateBackend.Options):
        timeout: float = 10

    backend = slow(lambda setting: seconds, looks=(1, 2))
    backend.options = Options(looks=(1, 2))
    add(backend, range(COUNT, 2_000))
    found, settings = searching(backend, TUNED, limit=2, filter=Q(n__gte=1_001))
    assert (len(settings), backend.now) == (searches, min(10, 4 * seconds))
    assert found == ([1_001, 1_002] if searches == 4 else [1_004, 1_008])
    assert ("a filtered search may lack nearer records" in caplog.text) is (searches < 4)


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
