"""The oracle passes the suite that it is the oracle of."""

import pytest

from wagtail_vector_index.collection import METRICS
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance
from wagtail_vector_index.testing.isolation import IsolationTests
from wagtail_vector_index.testing.lifecycle import LifecycleTests
from wagtail_vector_index.testing.ranking import RankingTests
from wagtail_vector_index.testing.reading import ReadingTests
from wagtail_vector_index.testing.scoring import ScoringTests
from wagtail_vector_index.testing.writing import WritingTests

from .runner import cases_of, first_failure


class TestOracle(VectorBackendConformance):
    def make_backend(self):
        return OracleBackend()


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
