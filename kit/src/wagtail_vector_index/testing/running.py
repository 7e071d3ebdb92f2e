"""One run of the suite on a configured backend. It drops its collections and hides secrets."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, ClassVar

import pytest

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec
from wagtail_vector_index.wording import describe

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["Run"]


class Run:
    """A plugin of pytest, for this run only.

    Args:
        make_backend: a function that makes the backend under test.
        redact: a function that hides the secrets in a text.
        thorough: whether collections are larger, and examples more.
    """

    #: The key of the run in pytest's stash.
    key: ClassVar[pytest.StashKey[Run]] = pytest.StashKey()

    def __init__(
        self,
        make_backend: Callable[[], VectorBackend],
        redact: Callable[[str], str],
        *,
        thorough: bool = False,
    ) -> None:
        self.make_backend = make_backend
        self.redact = redact
        self.thorough = thorough
        self.specs: dict[str, CollectionSpec] = {}
        self.left: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        # The processes of pytest-xdist could not share this run and its list of collections.
        if getattr(config.option, "dist", "no") != "no":
            raise pytest.UsageError(
                "This command runs its tests in one process: leave out the arguments for"
                " pytest-xdist. To use several processes, write a test file."
            )
        config.stash[self.key] = self

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hide secrets in the report of a failure."""
        report = yield
        report.sections = [(title, self.redact(text)) for title, text in report.sections]
        if report.failed and (said := str(report.longrepr)) != self.redact(said):
            report.longrepr = self.redact(said)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Drop the collections that tests left behind, and no others."""
        try:
            self.drop()
        except Exception as error:  # noqa: BLE001  # any error, which the summary shows
            self.left.append(self.redact(describe(error)))
        if self.left:
            session.exitstatus = max(session.exitstatus, pytest.ExitCode.TESTS_FAILED)

    def drop(self) -> None:
        """Drop the collections of this run that still exist.

        Raises:
            Exception: any error of the backend.
        """
        backend = self.make_backend()
        try:
            for name in self.specs.keys() & set(backend.collections()):
                self.left.append(name)
                backend.drop(self.specs[name])
                self.left.remove(name)
        finally:
            backend.close()

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Report whether all collections were dropped."""
        if self.left:
            terminalreporter.line(f"Not dropped: {', '.join(self.left)}", red=True)
        else:
            terminalreporter.line(f"{len(self.specs)} names of collections used, none left behind.")
