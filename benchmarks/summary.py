"""Tells which benchmarks met their goals in their last run, from README.md and ``results/``."""

from __future__ import annotations

import re

from benchmarks.measure import VERDICTS, tables
from benchmarks.run import BENCHMARKS, LONG, RESULTS, ROOT


def summary() -> str:
    """Return a Markdown table with a line for each benchmark.

    Each name links to a target of that name. A benchmark of `LONG` has a line only if its results
    are kept.

    Raises:
        LookupError: a file of results has no date, or README.md does not name its benchmark.
        FileNotFoundError: a benchmark has no results.
    """
    [readme] = tables((ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8"))
    goals = dict(zip(readme.column("benchmark"), readme.column("goals"), strict=True))
    kept = [*BENCHMARKS, *(name for name in LONG if (RESULTS / f"{name}.md").exists())]
    lines = ["| benchmark | verdict | measured on | goals |", "|---|---|---|---|"]
    for name in kept:
        text = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
        measured = re.search(r"^Measured on ([\d-]+):", text, re.MULTILINE)
        if measured is None or f"`{name}`" not in goals:
            raise LookupError(
                f"benchmarks/results/{name}.md needs a line 'Measured on DATE: …', and"
                f" benchmarks/README.md needs a line for `{name}`."
            )
        date = measured[1].replace("-", "\N{NON-BREAKING HYPHEN}")  # narrow columns break dates
        cells = [f"[{name}](#{name})", verdict(text), date, goals[f"`{name}`"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(text: str) -> str:
    """Return whether some results meet all goals, and what missed one."""
    rows = [row for table in tables(text) for row in table.rows]
    missed = [row[0] for row in rows if VERDICTS[False] in row]
    goals = len(missed) + sum(VERDICTS[True] in row for row in rows)
    if missed:
        return f"{len(missed)} of {goals} {VERDICTS[False]}: {'; '.join(missed)}"
    return f"all {goals} {VERDICTS[True]}" if goals else "–"
