"""The documentation's table of results is what these tests find."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from .test_vectorstores import OnBackend

pytestmark = pytest.mark.once

GUIDE = Path(__file__).parents[2] / "docs" / "testing-a-backend.md"


def names() -> list[str]:
    """The names of LangChain's tests, in their order."""
    return [name for name in vars(VectorStoreIntegrationTests) if name.startswith("test_")]


def result(suite: type, test: str) -> str:
    """What the documentation says; that it is true, the run of the tests shows.

    A test that fails is either a failure of the run, or it is expected to fail, with a
    reason, and then it must.
    """
    marks = getattr(getattr(suite, test), "pytestmark", [])
    return next((f"fails: {m.kwargs['reason']}" for m in marks if m.name == "xfail"), "passes")


def table() -> str:
    """The results, as Markdown."""
    suites = OnBackend.__subclasses__()
    rows = [["test", *(suite.title for suite in suites)], ["---"] * (len(suites) + 1)]
    rows += [[f"`{test}`", *(result(suite, test) for suite in suites)] for test in names()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_documentation_has_this_table():
    assert table() in GUIDE.read_text(encoding="utf-8"), f"It must be:\n\n{table()}\n"


def test_each_suite_runs_all_of_it():
    for suite in OnBackend.__subclasses__():
        assert suite.has_sync.fget(None), suite
        assert suite.has_async.fget(None), suite
        assert suite.has_get_by_ids.fget(None), suite
