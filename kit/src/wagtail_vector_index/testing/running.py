"""One run of the suite on a configured backend: what it made is dropped, secrets are not shown."""

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
    """A plugin of pytest, for this run alone.

    Args:
        make_backend: makes the backend under test.
        redact: makes secrets in a text unreadable.
    """

    #: Where pytest's configuration holds the run.
    key: ClassVar[pytest.StashKey[Run]] = pytest.StashKey()

    def __init__(
        self, make_backend: Callable[[], VectorBackend], redact: Callable[[str], str]
    ) -> None:
        self.make_backend = make_backend
        self.redact = redact
        self.specs: dict[str, CollectionSpec] = {}
        self.left: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        # Processes of pytest-xdist would not know of this run, nor it of their collections.
        if getattr(config.option, "dist", "no") != "no":
            raise pytest.UsageError(
                "This command runs its tests in one process: leave out the words for"
                " pytest-xdist. Several processes can run a test file of your own."
            )
        config.stash[self.key] = self

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep secrets out of what is said of a failure."""
        report = yield
        report.sections = [(title, self.redact(text)) for title, text in report.sections]
        if report.failed and (said := str(report.longrepr)) != self.redact(said):
            report.longrepr = self.redact(said)
        return report

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Drop what tests left behind, and nothing that they did not make."""
        try:
            self.drop()
        except Exception as error:  # noqa: BLE001  # whatever it is, the names are told
            self.left.append(self.redact(describe(error)))
        if self.left:
            session.exitstatus = max(session.exitstatus, pytest.ExitCode.TESTS_FAILED)

    def drop(self) -> None:
        """Drop the collections of this run that are still there.

        Raises:
            Exception: whatever the backend raises.
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
        """Say what became of the collections."""
        if self.left:
            terminalreporter.line(f"Not dropped: {', '.join(self.left)}", red=True)
        else:
            terminalreporter.line(f"{len(self.specs)} names of collections used, none left behind.")
