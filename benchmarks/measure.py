"""Helpers of the benchmarks, which time two functions in turn, in one process, many times.

A machine is never quiet, and its speed changes during a measurement. So the two functions that
are compared run in turn. A result is the ratio of the two medians, with the range of the middle
80% of the single turns. Memory is measured in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
#: The exit code of a benchmark that missed a goal; an error has another.
GOAL_MISSED = 3
#: How tables say whether a goal is met.
VERDICTS = {True: "met", False: "**missed**"}
THREAD_SETTINGS = (
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table, with a measurement, a comparison and perhaps a goal.

    Args:
        what: what was measured.
        ours: our measure, as text.
        other: the measure that ours is compared with, as text.
        ratio: our measure divided by the other.
        spread: the range of the ratio over the repeats, if there were any.
        at_most: the highest ratio that meets the goal, if there is a goal.
        note: further remarks.
    """

    what: str
    ours: str
    other: str
    ratio: float
    spread: Sequence[float] = ()
    at_most: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        return self.at_most is None or self.ratio <= self.at_most

    def __str__(self) -> str:
        goal = "" if self.at_most is None else f"≤ {number(self.at_most)}"
        verdict = "" if self.at_most is None else VERDICTS[self.is_met]
        spread = f" ({number(self.spread[0])} – {number(self.spread[1])})" if self.spread else ""
        cells = (
            self.what, self.ours, self.other, number(self.ratio) + spread, goal, verdict, self.note,
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that was printed: its title, the names of its columns, and its cells."""

    title: str
    columns: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column. If there is no such column, raise a LookupError."""
        if name not in self.columns:
            existing = ", ".join(filter(None, self.columns))
            raise LookupError(f"The table {self.title!r} has no column {name!r}, but {existing}.")
        at = self.columns.index(name)
        return [row[at] for row in self.rows]


HEADER = """\
| measured | ours | beside | ratio | goal | | |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The seconds that two things took in each turn."""

    ours: Sequence[float]
    other: Sequence[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.other)

    @property
    def spread(self) -> tuple[float, float]:
        ratios = [one / other for one, other in zip(self.ours, self.other, strict=True)]
        tenths = statistics.quantiles(ratios, n=10, method="inclusive")
        return tenths[0], tenths[-1]

    def row(self, what: str, other: str, *, at_most: float | None = None, note: str = "") -> Row:
        """Return the line of the table for these times."""
        return Row(
            what=what,
            ours=seconds(self.ours),
            other=f"{other}: {seconds(self.other)}",
            ratio=self.ratio,
            spread=self.spread,
            at_most=at_most,
            note=note,
        )


def paired(
    ours: Callable[[int], object],
    other: Callable[[int], object],
    *,
    repeats: int = 51,
    warm_up: int = 3,
) -> Paired:
    """Time two functions in turn. Each function gets the number of the turn.

    The function that goes first changes with every turn, since the second may find warm caches.
    A turn in which other processes interrupted this one does not count and is repeated. After
    five times as many turns, interrupted turns count.
    """
    for turn in range(warm_up):
        ours(turn)
        other(turn)
    turns: list[tuple[bool, float, float]] = []
    while sum(quiet for quiet, _, _ in turns) < repeats and len(turns) < 5 * repeats:
        turn = warm_up + len(turns)
        before = _interruptions()
        if turn % 2:
            first, second = _timed(ours, turn), _timed(other, turn)
        else:
            second, first = _timed(other, turn), _timed(ours, turn)
        turns.append((_interruptions() == before, first, second))
    undisturbed = [turn for turn in turns if turn[0]]
    if len(undisturbed) < repeats / 2:
        undisturbed = turns[-repeats:]
    return Paired(
        ours=[first for _, first, _ in undisturbed],
        other=[second for _, _, second in undisturbed],
    )


def middle(rounds: Iterable[Paired]) -> Paired:
    """Return the round with the median ratio, of an odd number of rounds."""
    ordered = sorted(rounds, key=lambda one: one.ratio)
    return ordered[len(ordered) // 2]


def _timed(function: Callable[[int], object], turn: int) -> float:
    started = time.perf_counter()
    function(turn)
    return time.perf_counter() - started


def _interruptions() -> int:
    """Return how often the system has taken the processor away from this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def isolated(target: Callable[..., Any], *arguments: Any, threads: int | None = None) -> Any:
    """Call a function of a module of this folder in a process of its own, and return its result.

    Args:
        target: the function. Its arguments and its result must be JSON values; the result may
            also contain rows.
        arguments: the arguments of the function.
        threads: the most threads that the numerical libraries may use.
    """
    environment = dict(os.environ)
    if threads:
        environment |= dict.fromkeys(THREAD_SETTINGS, str(threads))
    module = target.__module__
    if module == "__main__":
        module = f"benchmarks.{Path(sys.modules[module].__file__ or '').stem}"
    # -m puts the current folder, which contains `benchmarks`, on the path.
    command = [
        sys.executable, "-m", "benchmarks.measure", module, target.__name__, json.dumps(arguments),
    ]  # fmt: skip
    result = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1], object_hook=_row_or_dict)


def resident() -> int:
    """Return the bytes of memory that this process uses now."""
    return _status("VmRSS")


def peak_resident() -> int:
    """Return the most bytes of memory that this process has used."""
    return _status("VmHWM")


def print_table(title: str, rows: Iterable[Row]) -> bool:
    """Print rows as a Markdown table, and return whether every goal is met."""
    rows = list(rows)
    print(f"\n### {title}\n\n{HEADER}", *rows, sep="\n", flush=True)
    return all(row.is_met for row in rows)


def tables(text: str) -> list[Table]:
    """Return the tables of a Markdown text, each with the heading above it as its title."""
    found = []
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        title, *lines = section.splitlines()
        cells = [
            [cell.strip() for cell in line[1:-1].split("|")] for line in lines if line[:1] == "|"
        ]
        if cells:
            columns, _, *rows = cells
            found.append(Table(title=title, columns=columns, rows=rows))
    return found


def verdict(met: Iterable[bool]) -> int:
    """Return the exit code of a benchmark that has run to its end."""
    return 0 if all(met) else GOAL_MISSED


def seconds(times: Sequence[float]) -> str:
    """Return the median, least and most of some seconds, as text."""
    least, median, most = min(times), statistics.median(times), max(times)
    unit, factor = ("s", 1.0) if median >= 1 else ("ms", 1e3) if median >= 1e-3 else ("µs", 1e6)
    low, middle, high = (number(factor * value) for value in (least, median, most))
    return f"{middle} {unit} ({low} – {high})"


def read_seconds(text: str) -> tuple[float, float, float]:
    """Return the median, least and most seconds that a cell tells, as `seconds` writes them.

    A time without a range is all three. Words may precede it: ``without a filter: 1.2 ms``.

    Raises:
        ValueError: the text contains no time.
    """
    pattern = r"([\d.]+) (s|ms|µs)\b(?: \(([\d.]+) – ([\d.]+)\))?"
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"{text!r} contains no time such as '1.2 ms' or '1.2 ms (1 – 1.5)'.")
    middle, unit, least, most = match.groups()
    factor = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}[unit]
    median, low, high = (factor * float(one or middle) for one in (middle, least, most))
    return median, low, high


def size(count: float) -> str:
    """Return a number of bytes as text, in megabytes."""
    return f"{count / 1e6:.1f} MB"


def number(value: float) -> str:
    """Return a number as text, rounded to three digits or to an integer."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _status(name: str) -> int:
    # `ru_maxrss` is no use, since in a new process it begins with the memory of the parent.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # outside Linux, only the peak is known
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _row_or_dict(value: dict[str, Any]) -> Any:
    return Row(**value) if value.keys() == Row.__dataclass_fields__.keys() else value


if __name__ == "__main__":
    _, module_name, function_name, given = sys.argv
    outcome = getattr(importlib.import_module(module_name), function_name)(*json.loads(given))
    print(json.dumps(outcome, default=asdict), flush=True)
