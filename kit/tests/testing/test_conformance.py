"""The oracle passes the suite that it is the oracle of.

Once: the oracle is Python alone, and the lowest versions meet this suite in the plugins' tests.
"""

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from wagtail_vector_index.contract.metrics import METRICS
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance, failures
from wagtail_vector_index.testing.event_loops import THREADS
from wagtail_vector_index.testing.isolation import IsolationTests
from wagtail_vector_index.testing.lifecycle import LifecycleTests
from wagtail_vector_index.testing.ranking import RankingTests
from wagtail_vector_index.testing.reading import ReadingTests
from wagtail_vector_index.testing.scoring import ScoringTests
from wagtail_vector_index.testing.writing import WritingTests

from .mutants import MutantConformance
from .mutants.base import Refusing
from .runner import cases_of, first_failure

pytestmark = pytest.mark.once


class TestOracle(MutantConformance):
    """The oracle as all mutants have it: it can refuse records, or be away."""

    stateful_settings = VectorBackendConformance.stateful_settings


class OneAtATime(Refusing):
    """A service without requests for several records."""

    max_batch_records = 1
    max_batch_bytes = 500

    def _upsert(self, spec, batch):
        [_] = batch
        super()._upsert(spec, batch)

    def _delete(self, spec, ids):
        [_] = ids
        super()._delete(spec, ids)

    def _get(self, spec, ids):
        [_] = ids
        return super()._get(spec, ids)


def test_a_backend_of_one_record_at_a_time_passes():
    class Suite(MutantConformance):
        backend_class = OneAtATime
        at_most = 200

    assert first_failure(Suite, cases_of()) is None


@pytest.mark.parametrize("metric", METRICS)
def test_a_backend_of_one_metric_passes(metric):
    class Suite(VectorBackendConformance):
        def make_backend(self):
            backend = OracleBackend()
            backend.metrics = frozenset({metric})
            return backend

    parts = (LifecycleTests, WritingTests, ReadingTests, ScoringTests, RankingTests, IsolationTests)
    cases = (case for part in parts for case in cases_of(part))
    assert first_failure(Suite, cases) is None


def test_a_drop_that_fails_leaves_nothing_else_behind():
    class BusyOnce(OracleBackend):
        calls = []

        def _drop(self, spec):
            self.calls.append("drop")
            if len(self.calls) == 1:
                raise RuntimeError("the server is busy")
            super()._drop(spec)

        def close(self):
            self.calls.append("close")

    class Suite(VectorBackendConformance):
        def make_backend(self):
            return BusyOnce()

    test = Suite()
    for _ in range(3):
        test.collection()
    with pytest.raises(RuntimeError, match="the server is busy"):
        test.teardown_method()
    assert len(test.backend.collections()) == 1
    assert BusyOnce.calls == ["drop", "drop", "drop", "close"]


@pytest.mark.parametrize("test", ["test_service_that_is_away", "test_async_service_that_is_away"])
@pytest.mark.parametrize(("seconds", "in_time"), [(1, True), (2, False)])
def test_a_service_that_is_away_is_an_error_in_time(test, seconds, in_time, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(failures, "monotonic", lambda: clock[0])

    class Slow(Refusing):
        def reach(self):
            clock[0] += seconds
            super().reach()

    class Suite(MutantConformance):
        def make_backend(self):
            backend = Slow()
            backend.options = SimpleNamespace(timeout=0.2)
            return backend

    caught = first_failure(Suite, cases_of(only=[test]))
    assert (caught is None) == in_time
    if not in_time:
        assert "timeout is 0.2 s, but each call took 2.0 s or more." in str(caught[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork()")
@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"was killed by signal 9 \(SIGKILL\)"),
        (lambda: os._exit(3), "exited with 3"),
    ],
    ids=["killed", "exited"],
)
def test_a_child_process_that_dies_says_how(end, told):
    with pytest.raises(AssertionError, match=rf"^The child process {told}\.$"):
        VectorBackendConformance().in_child(end)


class Threads(VectorBackendConformance):
    """Lists the threads that end, beside those that are there when a coroutine begins."""

    def __init__(self):
        self.ended = []

    def make_backend(self):
        return OracleBackend()

    def thread_finished(self):
        self.ended.append(threading.current_thread())
        super().thread_finished()


def test_the_threads_of_an_event_loop_begin_before_the_test_and_end_after_it():
    test = Threads()

    async def begun():
        return set(threading.enumerate())

    there = test.in_loop(begun())
    assert len(set(test.ended)) == THREADS + 1  # the loop's own thread
    assert there.issuperset(test.ended)
