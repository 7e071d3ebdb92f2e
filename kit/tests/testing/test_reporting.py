"""What the end of an author's own run of pytest says of the suite."""

import inspect
import os
import re
from pathlib import Path

import pytest

from wagtail_vector_index.testing import VectorBackendConformance
from wagtail_vector_index.testing.rules import contract_url

from .forked import run_module
from .runner import STATEFUL, cases_of

ROOT = Path(__file__).parents[3]

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
    words = ("-p", "no:cacheprovider", "-p", "no:django", *words)
    return run_module("pytest", words, folder, environment)[1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "test_conformance.py").write_text(CONFORMANCE)
    return tmp_path


SUMMARY = f"""\
TestElsewhere: 0 passed, 6 skipped, 0 failed
  skipped, since there is no server:
    all tests
TestOracle: 6 passed, 0 skipped, 1 failed
  failed:
    test_more_of_the_authors_own
TestUpside: 2 passed, 3 skipped, 1 failed
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


def test_the_first_failure_names_a_rule_of_its_own(folder):
    said = run(folder, "-x", "-k", "TestUpside and (test_score or oracle)")
    assert f"{contract_url('one-meaning-of-score')}\n    test_score[dot]\n" in said
    assert "test_behaves_like_the_oracle" not in said


def test_classes_of_one_name_are_told_apart(folder):
    for name in ("test_one.py", "test_other.py"):
        (folder / name).write_text(CONFORMANCE)
    (folder / "test_conformance.py").unlink()
    said = run(folder, "-k", "TestOracle and test_count")
    assert "\ntest_one.py::TestOracle: 2 passed, 0 skipped, 0 failed\n" in said
    assert "\ntest_other.py::TestOracle: 2 passed, 0 skipped, 0 failed\n" in said


ACME = """
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Acme(OracleBackend):
    def search(self, spec, vector, *, limit=10, **named):
        return super().search(spec, vector, limit=limit + 1, **named)


class TestAcme(VectorBackendConformance):
    def make_backend(self):
        return Acme()
"""


def test_the_documentation_shows_a_summary_as_it_is(tmp_path):
    text = (ROOT / "docs/testing-a-backend.md").read_text(encoding="utf-8")
    example = text.partition("conformance ==========================\n")[2].partition("```")[0]
    first, _, shown = example.partition("\n")
    suite = VectorBackendConformance
    tests = {name for name, _ in cases_of()}
    skips = [name for name in tests if "self.need(" in inspect.getsource(getattr(suite, name))]
    (tmp_path / "test_conformance.py").write_text(ACME)
    chosen = [f"test_conformance.py::TestAcme::{name}" for name in (*skips, "test_limit")]
    said = run(tmp_path, *chosen)
    assert shown in said
    # As many as there are, but for some: not each new test changes the example.
    number = len([*cases_of(), STATEFUL])
    passed, *others = map(int, re.findall(r"\d+", first))
    assert passed + sum(others) == pytest.approx(number, abs=15)
    assert others == list(map(int, re.findall(r"TestAcme: .*, (\d+) skipped, (\d+) f", said)[0]))
    [about] = re.findall(r"has about (\d+) tests", text)
    assert int(about) == pytest.approx(number, abs=15)


def test_with_xdist_the_plugin_is_named(folder):
    said = run(folder, "-k", CHOSEN, "-n1", "-p", "wagtail_vector_index.testing.reporting")
    assert SUMMARY in said


INTERRUPTED = """
import os
import signal

from wagtail_vector_index.exceptions import BackendRefused
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance

# A shell lets what it runs in the background ignore this signal.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Interrupted(OracleBackend):
    def _count(self, spec, filter):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            {answer}
        return super()._count(spec, filter)


class TestInterrupted(VectorBackendConformance):
    def make_backend(self):
        return Interrupted()
"""


@pytest.mark.parametrize(
    "answer", ["raise", "raise BackendRefused('The query was interrupted.') from None", "pass"]
)
def test_an_interrupt_ends_the_run_and_breaks_no_rule(tmp_path, answer):
    """As DuckDB does, whose queries notice the signal and raise an error of their own."""
    code = INTERRUPTED.format(answer=answer)
    (tmp_path / "test_conformance.py").write_text(code)
    said = run(tmp_path, "-k", "test_count")
    assert "! KeyboardInterrupt !" in said
    assert "failed" not in said
    assert "broken" not in said


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
    assert "TestClosed: 0 passed, 0 skipped, 3 failed" in said
    both = "test_count[asynchronous], test_count[synchronous]"
    assert f"{contract_url('counts-are-exact')}\n    {both}\n" in said
    assert f"{contract_url('closing-loses-nothing')}\n    test_close_and_use_again\n" in said


DEADLOCKED = """
import threading
from uuid import uuid4

from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.testing import (
    EmbeddingBackendConformance, OracleBackend, VectorBackendConformance, event_loops, threads,
)

event_loops.LONGEST = threads.DEADLINE = 0.3


class Deadlocked(OracleBackend):
    def __init__(self):
        super().__init__()
        self.guard = threading.Lock()

    def _upsert(self, spec, batch):
        self.guard.acquire()

    async def acreate(self, spec):
        self.guard.acquire()
        await super().acreate(spec)

    async def _aget(self, spec, ids):
        await self._in_thread(self.guard.acquire)()

    def close(self):
        self.guard.acquire()


class TestDeadlocked(VectorBackendConformance):
    def make_backend(self):
        return Deadlocked()

    def test_get_in_a_loop(self):
        spec = self.collection()
        self.backend.guard.acquire()
        self.in_loop(self.backend.aget(spec, [uuid4()]))


class Waiting(EmbeddingBackend):
    guard = threading.Lock()

    def embed(self, texts):
        self.guard.acquire()
        return [[1.0]]


class TestWaiting(EmbeddingBackendConformance):
    def make_backend(self):
        return Waiting("default", Waiting.Options())
"""


def test_calls_that_never_return_end_their_test(tmp_path):
    (tmp_path / "test_conformance.py").write_text(DEADLOCKED)
    chosen = "writers_of_different or acreate or get_in_a_loop or TestWaiting and several_threads"
    said = run(tmp_path, "-k", chosen)
    assert "4 failed" in said
    assert said.count("AssertionError: These calls still wait after 0.3 s:") >= 4
    assert "in _upsert\n" in said


WARNS = """
import warnings

from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Old(OracleBackend):
    def _count(self, spec, filter):
        warnings.warn("count() of the client will go", DeprecationWarning)
        return super()._count(spec, filter)

    def _collections(self):
        try:
            warnings.warn("the client's socket is open", ResourceWarning)
        except Warning as error:
            raise BackendUnavailable("no answer") from error
        return super()._collections()


class TestOld(VectorBackendConformance):
    def make_backend(self):
        return Old()
"""


def test_a_warning_of_the_client_is_no_broken_rule(tmp_path):
    (tmp_path / "test_conformance.py").write_text(WARNS)
    chosen = "test_count or collections_are_listed or test_limit"
    said = run(tmp_path, "-k", chosen, "-W", "error")
    assert "broken:" not in said
    assert "stopped by a DeprecationWarning, which breaks no rule:\n    test_count" in said
    assert "stopped by a ResourceWarning, which breaks no rule:\n    test_collections" in said
    assert 'add "ignore::DeprecationWarning" to filterwarnings' in said
    assert "The rule:" not in said
    assert " 0 failed" in run(tmp_path, "-k", chosen, "-W", "default")


THOROUGH = """
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class TestOracle(VectorBackendConformance):
    def make_backend(self):
        return OracleBackend()

    def test_how_large(self):
        print("large:", self.how_many)
"""


@pytest.mark.parametrize(
    ("words", "environment", "size"),
    [
        ((), {}, "5400"),
        (("--thorough",), {}, "21000"),
        ((), {"WAGTAIL_VECTOR_INDEX_THOROUGH": "1"}, "21000"),
    ],
)
def test_a_run_can_be_thorough(tmp_path, monkeypatch, words, environment, size):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "test_conformance.py").write_text(THOROUGH)
    assert f"large: {size}" in run(tmp_path, "-s", "-k", "how_large", *words)


TWICE = """
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Appends(OracleBackend):
    def _scan(self, spec, batch_size):
        for _ in range(4):
            yield from super()._scan(spec, batch_size)


class TestAppends(VectorBackendConformance):
    def make_backend(self):
        return Appends()
"""


def test_a_failure_says_that_an_id_came_twice(tmp_path):
    (tmp_path / "test_conformance.py").write_text(TWICE)
    said = run(tmp_path, "-k", "writers_of_the_same")
    assert "An id came twice: scan() returned 80 rows of 20 ids." in said
    assert "came 4 times." in said


OR_IS_AND = """
from wagtail_vector_index.contract import And, Or
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class OrIsAnd(OracleBackend):
    def _matches(self, node, metadata):
        return super()._matches(And(node.children) if isinstance(node, Or) else node, metadata)


class TestOrIsAnd(VectorBackendConformance):
    def make_backend(self):
        return OrIsAnd()
"""


def test_a_failure_shows_the_filter_as_it_is_written(tmp_path):
    (tmp_path / "test_conformance.py").write_text(OR_IS_AND)
    said = run(tmp_path, "-k", "oracle")
    assert re.search(r"or_\(\s*Q\(\w+__[a-z]+=", said)
    assert "HypothesisWarning" not in said
