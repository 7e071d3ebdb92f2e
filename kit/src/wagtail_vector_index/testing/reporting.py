"""A plugin of pytest that reports skipped tests and broken rules at the end of a run.

It also ends the run when the author presses Ctrl-C, whatever the engine makes of it.

The suite's classes register it when pytest collects them, so it has no effect on other
runs. Under pytest-xdist, the process that reports is not the one that collects the classes.
Add ``-p wagtail_vector_index.testing.reporting`` there to get the report.
"""

from __future__ import annotations

import signal
import sys
import textwrap
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from .rules import contract_url, rule_of, warning_behind

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["register"]

#: The properties of a report: the test class, the rule, and the warning that stopped the test.
#: JUnit files show them too.
SUITE, RULE, WARNING = "conformance", "rule", "warning"


def register(config: pytest.Config) -> None:
    """Register this plugin, once."""
    if not config.pluginmanager.has_plugin(__name__):
        config.pluginmanager.register(sys.modules[__name__], __name__)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """End the run if the author interrupts a test of the suite.

    Some engines notice the signal in the middle of a query, and raise an error of their own. The
    test would then report a rule that the backend does not break, or go on.
    """
    if not is_ours(item):
        return (yield)
    with interrupts() as received:
        try:
            result = yield
        except Exception as error:
            if received:
                raise KeyboardInterrupt from error
            raise
        if received:
            raise KeyboardInterrupt
        return result


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Return a list of the interrupts of this block; the handler before this one gets each too."""
    received: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, handler)


def is_ours(item: pytest.Item) -> bool:
    """Return whether a test belongs to a conformance suite of vector backends."""
    from .harness import Harness

    suite = getattr(item, "cls", None)
    return suite is not None and issubclass(suite, Harness)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark the reports of the suite's tests."""
    report = yield
    if is_ours(item):
        suite, name = item.cls, getattr(item, "originalname", item.name)  # type: ignore[attr-defined]
        report.user_properties += [(SUITE, suite.__name__), (RULE, rule_of(suite, name))]
        warning = warning_behind(call.excinfo.value) if call.excinfo else None
        if report.failed and warning is not None:
            report.user_properties.append((WARNING, type(warning).__name__))
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print for each class the number of tests, the skipped ones, and the broken rules."""
    ours = [
        report
        for outcome in ("passed", "skipped", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if of(report, SUITE)
    ]
    if not ours:
        return
    terminalreporter.section("vector backend conformance")
    for name, of_name in grouped(ours, lambda report: of(report, SUITE)):
        classes = list(grouped(of_name, class_of))
        for path, reports in classes:
            for line in summary(name if len(classes) == 1 else path, reports):
                terminalreporter.line(line)


def summary(suite: str, reports: list[pytest.TestReport]) -> Iterator[str]:
    """Yield the lines about one class."""
    # A test has two reports if its teardown failed.
    ids = {report.nodeid for report in reports}
    broken = list({report.nodeid: report for report in reports if report.failed}.values())
    skipped = [report for report in reports if report.skipped]
    passed = len(ids.difference(report.nodeid for report in (*skipped, *broken)))
    yield f"{suite}: {passed} passed, {len(skipped)} skipped, {len(broken)} failed"
    for reason, of_reason in grouped(skipped, reason_of):
        yield f"  skipped, since {reason}:"
        yield from names(of_reason) if len(of_reason) < len(reports) else ["    all tests"]
    stopped = [report for report in broken if of(report, WARNING)]
    for warning, of_warning in grouped(stopped, lambda report: of(report, WARNING)):
        yield f"  stopped by a {warning}, which breaks no rule:"
        yield from names(of_warning)
    broken = [report for report in broken if report not in stopped]
    for anchor, of_rule in grouped(broken, lambda report: of(report, RULE)):
        # A class may have its own tests, which belong to no rule.
        yield f"  broken: {contract_url(anchor)}" if anchor else "  failed:"
        yield from names(of_rule)


def grouped(
    reports: Iterable[pytest.TestReport], key: Any
) -> Iterator[tuple[str, list[pytest.TestReport]]]:
    """Yield groups of reports with the same key."""
    for value, group in groupby(sorted(reports, key=key), key):
        yield value, list(group)


def of(report: Any, name: str) -> str:
    """Return a property of a report, or "" if it has no such property."""
    properties = getattr(report, "user_properties", [])
    return next((value for key, value in properties if key == name), "")


def class_of(report: pytest.TestReport) -> str:
    """Return the file and the class of a test."""
    return report.nodeid.rpartition("::")[0]


def reason_of(report: pytest.TestReport) -> str:
    """Return the reason with which a test was skipped."""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return words.removeprefix("Skipped: ")


def names(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Return the names of these tests, wrapped into lines."""
    tests = sorted(report.nodeid.rpartition("::")[2] for report in reports)
    return textwrap.wrap(", ".join(tests), 96, initial_indent="    ", subsequent_indent="    ")
