"""What the end of an author's own run of pytest says of the suite."""

import os
import subprocess
import sys

import pytest

from wagtail_vector_index.testing.rules import contract_url

pytestmark = pytest.mark.once

CONFORMANCE = """
import pytest

from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Upside(OracleBackend):
    metrics = frozenset({"dot"})

    def _score(self, metric, query, vector):
        return -super()._score(metric, query, vector)


class TestUpside(VectorBackendConformance):
    def make_backend(self):
        return Upside()

    def test_fork(self):
        pytest.skip("forks are for another day")


class TestElsewhere(TestUpside):
    @pytest.fixture(autouse=True)
    def _server(self):
        pytest.skip("there is no server")


class TestOracle(VectorBackendConformance):
    def make_backend(self):
        return OracleBackend()

    def test_more_of_the_authors_own(self):
        raise AssertionError("a bug")


def test_of_the_authors_own():
    pass
"""

CHOSEN = "test_score or test_count or test_fork or authors"


def run(folder, *words):
    """The output of pytest in a folder without any configuration."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:django", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_conformance.py").write_text(CONFORMANCE)
    return tmp_path


SUMMARY = f"""\
TestElsewhere: 0 passed, 5 skipped, 0 failed
  skipped, since there is no server:
    all tests
TestOracle: 5 passed, 0 skipped, 1 failed
  failed:
    test_more_of_the_authors_own
TestUpside: 1 passed, 3 skipped, 1 failed
  skipped, since forks are for another day:
    test_fork
  skipped, since metrics does not declare 'cosine':
    test_score[cosine]
  skipped, since metrics does not declare 'euclidean':
    test_score[euclidean]
  broken: {contract_url("one-meaning-of-score")}
    test_score[dot]
"""


def test_a_run_ends_with_a_summary_without_any_configuration(folder):
    said = run(folder, "-k", CHOSEN, "--junit-xml=report.xml")
    assert f" vector backend conformance ==========================\n{SUMMARY}" in said
    assert "The rule: Higher is nearer: under cosine the similarity" in said
    assert f"More about it: {contract_url('one-meaning-of-score')}" in said
    report = (folder / "report.xml").read_text()
    assert '<property name="rule" value="counts-are-exact"' in report


def test_with_xdist_the_plugin_is_named(folder):
    said = run(folder, "-k", CHOSEN, "-n1", "-p", "wagtail_vector_index.testing.reporting")
    assert SUMMARY in said


CANNOT_CLOSE = """
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Closed(OracleBackend):
    def close(self):
        raise RuntimeError("already closed")


class TestClosed(VectorBackendConformance):
    def make_backend(self):
        return Closed()
"""


def test_a_test_that_fails_at_its_end_counts_once(tmp_path):
    (tmp_path / "test_conformance.py").write_text(CANNOT_CLOSE)
    said = run(tmp_path, "-k", "test_count or test_close_and")
    assert "TestClosed: 0 passed, 0 skipped, 2 failed" in said
    assert f"{contract_url('counts-are-exact')}\n    test_count\n" in said
    assert f"{contract_url('closing-loses-nothing')}\n    test_close_and_use_again\n" in said
