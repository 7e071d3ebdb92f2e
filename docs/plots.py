"""Draws the figures of the page of benchmarks, from the tables in ``benchmarks/results/``.

Each public function draws one figure. If a file lacks what the figure shows, the function raises a
LookupError or a ValueError, which makes the build of the site fail. On the page, the option
``:context: reset`` of each figure has every build draw it again: without it, a figure of an earlier
build would stay until this file changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.measure import Table, read_seconds, tables
from benchmarks.run import RESULTS

#: In inches. A telephone shows a figure at two thirds of its size, where its text can be read.
WIDTH, PANEL = 5.4, 2.5
TIME_OF_A_SEARCH = "time of a search"
TIME = FuncFormatter(
    lambda value, _: f"{value:g} s" if value >= 1 else f"{1e3 * value:g} ms" if value else "0"
)
COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")


def search_by_size() -> None:
    """Draw the time of a search by the number of objects, for each kind of content."""
    [axes] = panels(1, height=3.4)
    for kind, table in results("end_to_end", r"End to end, (\w+): ours").items():
        counts = [number(count) for count in table.column("documents")]
        curve(axes, counts, table.column("search"), kind)
    axes.set(xlabel="objects in the index", ylabel=TIME_OF_A_SEARCH, xscale="log", yscale="log")
    axes.xaxis.set_major_formatter(COUNT)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(TIME)
    axes.yaxis.set_minor_formatter(NullFormatter())
    legend(axes)


def recall() -> None:
    """Draw recall by time, with the first setting and with the one that was measured."""
    found = results("recall", r"Recall of (\w+, [\d,]+) ×")
    searches = {
        "without a filter": r"without a filter",
        "with a filter that keeps nothing near the query": r"filter keeps .* near",
    }
    both = panels(len(searches), sharey=True)
    for axes, (title, pattern) in zip(both, searches.items(), strict=True):
        for backend, table in found.items():
            after = lines(table, f"({pattern})")
            before = lines(table, f"({pattern}), as it was")
            (now,), (then,) = after.values(), before.values()
            recalls = [float(row["recall@10"]) for row in (then, now)]
            times = [read_seconds(row["a search"])[0] for row in (then, now)]
            [line] = axes.plot(times, recalls, label=backend)
            axes.plot(times[:1], recalls[:1], "w", marker=line.get_marker(), markersize=3)
            goal = number(now["goal"])
        axes.axhline(goal, linestyle=":", color="black", marker="", label="goal")
        axes.set(title=title, xscale="log", ylabel="recall@10")
    axes.set(xlabel=TIME_OF_A_SEARCH)
    axes.xaxis.set_major_formatter(TIME)
    legend(axes)


def quantization() -> None:
    """Draw the times of searches with and without quantisation, for the largest collection."""
    [table] = results("numpy_quantization", r"(Searches by signs), NumPy backend").values()
    [axes] = panels(1)
    what = r"1,000,000 × 384: ((?:search|filter)[^,]*), 1 thread"
    beside(axes, lines(table, what), ours="with QUANTIZATION", other="without it")
    axes.set(title="1,000,000 × 384, one thread", xlabel=TIME_OF_A_SEARCH)
    legend(axes)


def usearch() -> None:
    """Draw the times of searches of USearch and NumPy, for each number of records."""
    beside_numpy("usearch_backend", r"(USearch) beside NumPy: search, ", "")


def sqlitevec() -> None:
    """Draw the times of searches of sqlite-vec and NumPy, for each number of records."""
    beside_numpy("sqlitevec_backend", r"(sqlite-vec) beside NumPy, ", "search, ")


def restricted() -> None:
    """Draw the time of a search by how many of the pages it may find, for each backend."""
    [axes] = panels(1, height=3.8)
    for backend, table in results("restricted", r"Restricted searches, (\w+) backend").items():
        for what, pattern in (
            ("queryset", r"within a queryset of ([\d,]+) of"),
            ("visitor", r"\d+ restrictions leave ([\d,]+) of"),
        ):
            found = lines(table, pattern + ".*")
            counts = [number(count) for count in found]
            times = [read_seconds(row["ours"])[0] for row in found.values()]
            axes.plot(counts, times, label=f"{backend}, {what}")
    axes.set(xlabel="pages that the search may find", ylabel=TIME_OF_A_SEARCH, xscale="log", ylim=0)
    axes.xaxis.set_major_formatter(COUNT)
    axes.yaxis.set_major_formatter(TIME)
    legend(axes)


def many_processes() -> None:
    """Draw the time of a build, by the number of processes and of requests at once."""
    found = results("many_processes", r"A build of [\d,]+ objects on (\w+)")
    for axes, (title, table) in zip(panels(len(found)), found.items(), strict=True):
        ways = lines(table, r"(\d+ process.*)")
        times = [read_seconds(row["ours"])[0] for row in ways.values()]
        names = [what.replace(", ", ",\n") for what in ways]
        axes.barh(names, times, height=0.5)
        for what, row in ways.items():
            if row["goal"]:
                goal = number(row["goal"]) * read_seconds(row["beside"])[0]
                axes.axvline(goal, linestyle=":", color="black", label=f"goal for {what}")
        axes.set(title=title, xlabel="time of the build")
        axes.xaxis.set_major_formatter(TIME)
    legend(axes)


def rankings() -> None:
    """Draw nDCG@10 of each way to search, for each collection of texts."""
    [table] = results("rankings", r"(nDCG@10) and recall@100").values()
    [axes] = panels(1)
    for way, shift in {"hybrid": -0.18, "vector": -0.06, "words": 0.06, "BM25": 0.18}.items():
        values = [number(cell) for cell in table.column(way)]
        places = [place + shift for place in range(len(values))]
        axes.plot(values, places, linestyle="none", label=way)
    axes.set(xlabel="nDCG@10")
    name_places(axes, table.column(""))
    legend(axes)


def beside_numpy(name: str, title: str, prefix: str) -> None:
    """Draw the tables of a benchmark that compares a backend with NumPy, one above the other."""
    found = results(name, f"({title}.*)")
    both = panels(len(found))
    for axes, (whole, table) in zip(both, found.items(), strict=True):
        backend, _, size = re.split(r" beside NumPy(: search)?, ", whole)
        rows = lines(table, f"{prefix}((?:without|filter).*)")
        beside(axes, rows, ours=backend, other="NumPy")
        axes.set(title=size)
    axes.set(xlabel=TIME_OF_A_SEARCH)
    legend(axes)


def results(name: str, title: str) -> dict[str, Table]:
    """Return tables of a benchmark, by the group of the pattern that their titles begin with."""
    path = RESULTS / f"{name}.md"
    found = tables(path.read_text(encoding="utf-8"))
    chosen = {match[1]: one for one in found if (match := re.match(title, one.title))}
    if not chosen:
        raise LookupError(
            f"benchmarks/results/{path.name} has no table whose title begins with {title!r}."
            " Measure it again, or change what docs/plots.py draws."
        )
    return chosen


def lines(table: Table, first: str) -> dict[str, dict[str, str]]:
    """Return lines of a table, by the group of the pattern that their first cells match."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    found = zip(rows, table.rows, strict=True)
    chosen = {match[1]: row for row, cells in found if (match := re.fullmatch(first, cells[0]))}
    if not chosen:
        raise LookupError(
            f"The table {table.title!r} in benchmarks/results/ has no line {first!r}."
            " Measure it again, or change what docs/plots.py draws."
        )
    return chosen


def number(cell: str) -> float:
    """Return the first number of a cell, such as ``1,000`` or ``≤ 0.286``."""
    match = re.search(r"\d[\d,]*(\.\d+)?", cell)
    if match is None:
        raise ValueError(f"A cell of a table in benchmarks/results/ has no number: {cell!r}.")
    return float(match[0].replace(",", ""))


def panels(count: int, *, height: float = PANEL, sharey: bool = False) -> Sequence[Axes]:
    """Begin a figure of plots above each other, with one horizontal scale; return the plots."""
    size = (WIDTH, 0.4 + count * height)
    _, axes = pyplot.subplots(count, figsize=size, sharex=True, sharey=sharey, squeeze=False)
    return list(axes[:, 0])


def curve(axes: Axes, places: Sequence[float], cells: Sequence[str], label: str) -> None:
    """Draw times as a line, with their ranges."""
    middles, ranges = times_of(cells)
    axes.errorbar(places, middles, yerr=ranges, label=label)


def beside(axes: Axes, found: dict[str, dict[str, str]], *, ours: str, other: str) -> None:
    """Draw the times of each line of a table beside each other, with their ranges."""
    for column, label, shift in (("beside", other, -0.12), ("ours", ours, 0.12)):
        middles, ranges = times_of([row[column] for row in found.values()])
        places = [place + shift for place in range(len(found))]
        axes.errorbar(middles, places, xerr=ranges, linestyle="none", label=label)
    axes.set(xscale="log")
    axes.xaxis.set_major_formatter(TIME)
    name_places(axes, list(found))


def name_places(axes: Axes, names: Sequence[str]) -> None:
    """Name the places at 0, 1, 2 and so on, from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def legend(axes: Axes) -> None:
    """Explain the marks above the whole figure, where they hide nothing."""
    shown = axes.get_legend_handles_labels()
    axes.figure.legend(*shown, loc="outside upper center", ncols=2, frameon=False)


def times_of(cells: Sequence[str]) -> tuple[list[float], list[list[float]]]:
    """Return the median seconds of cells, and how far below and above them the ranges reach."""
    times = [read_seconds(cell) for cell in cells]
    below = [middle - least for middle, least, _ in times]
    above = [most - middle for middle, _, most in times]
    return [middle for middle, _, _ in times], [below, above]
