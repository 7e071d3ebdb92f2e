"""The page of benchmarks tells and draws what the files of results say."""

from __future__ import annotations

import inspect
import re
import shutil
import sys

import pytest
from matplotlib import pyplot

from benchmarks import run, summary
from benchmarks.measure import Row, print_table, read_seconds, seconds, tables
from benchmarks.run import RESULTS
from docs import plots

from .code_blocks import ROOT

SITE = ROOT / "docs" / "_build" / "html"
DRAWN = dict(re.findall(r"plots\.py (\w+)\n(?:.*\n)+?.*/results/(\w+)\.md", (
    ROOT / "docs" / "reference" / "benchmarks.md"
).read_text(encoding="utf-8")))  # fmt: skip
each_figure = pytest.mark.parametrize(("figure", "benchmark"), DRAWN.items())


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A copy of the results, which a test may change."""
    copied = shutil.copytree(RESULTS, tmp_path / "results")
    monkeypatch.setattr(plots, "RESULTS", copied)
    monkeypatch.setattr(summary, "RESULTS", copied)
    yield copied
    pyplot.close("all")


def change(path, pattern, replacement):
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
    assert count
    path.write_text(text, encoding="utf-8")


def test_every_figure_is_shown():
    public = [
        name
        for name, function in inspect.getmembers(plots, inspect.isfunction)
        if function.__module__ == plots.__name__ and not inspect.signature(function).parameters
    ]
    assert sorted(DRAWN) == sorted(public)


def test_figures_are_of_the_results_of_now():
    """Otherwise the figures of an earlier build would stay."""
    measured = max(path.stat().st_mtime for path in RESULTS.glob("*.md"))
    page = (SITE / "reference" / "benchmarks.html").read_text(encoding="utf-8")
    for figure in DRAWN:
        assert (SITE / "_images" / f"plots_{figure}.svg").stat().st_mtime > measured, "Build again."
        [image] = re.findall(rf"<img [^>]*plots_{figure}\.svg[^>]*>", page)
        assert len(re.findall(r'alt="([^"]*)"', image)[0]) > 50


def test_a_new_measurement_is_drawn(results):
    change(results / "end_to_end.md", r"\| 10,000 \| [^)]+\)", "| 10,000 | 99 ms (77 – 140)")
    plots.search_by_size()
    drawn = [bars.lines[0].get_ydata()[1] for bars in pyplot.gca().containers]
    assert drawn == pytest.approx([0.099, 0.099])


@each_figure
def test_results_without_what_a_figure_shows_stop_the_build(results, figure, benchmark):
    path = results / f"{benchmark}.md"
    change(path, r"(?m)^### ", "### Formerly ")
    with pytest.raises(LookupError, match=rf"{path.name} has no table .* change what docs/plots"):
        getattr(plots, figure)()


@pytest.mark.parametrize("figure", ["quantization", "recall", "restricted", "usearch"])
def test_tables_without_the_lines_of_a_figure_stop_the_build(results, figure):
    benchmark = DRAWN[figure]
    change(results / f"{benchmark}.md", r"(?m)^\| (?!measured|searches)", "| formerly ")
    with pytest.raises(LookupError, match=r"has no line"):
        getattr(plots, figure)()


def test_columns_that_are_missing_are_named(results):
    change(results / "end_to_end.md", r"\| search \|", "| a search |")
    with pytest.raises(LookupError, match=r"objects.*no column 'search', but documents, a search"):
        plots.search_by_size()


def test_summary_tells_what_was_missed(results):
    change(results / "large_index.md", r"(?:\*\*missed\*\*|met) \|", "**missed** |")
    change(results / "unchanged.md", r"(?:\*\*missed\*\*|met) \|", "met |")
    change(results / "unchanged.md", r"Measured on [\d-]+", "Measured on 2031-02-03")
    [table] = tables(f"# Summary\n{summary.summary()}")
    told = {row[0]: row[1:] for row in table.rows}
    assert told["[large_index](#large_index)"][0].startswith("4 of 4 **missed**: 100,000 × 384; ")
    verdict, date, goals = told["[unchanged](#unchanged)"]
    assert (verdict, re.split(r"\W", date)) == ("all 2 met", ["2031", "02", "03"])
    assert goals.startswith("at most 30 queries")


def test_summary_needs_a_date(results):
    change(results / "unchanged.md", r"Measured on ", "")
    with pytest.raises(LookupError, match=r"unchanged\.md needs a line 'Measured on DATE"):
        summary.summary()


def test_benchmarks_without_goals_say_so():
    """Each of the others has a verdict in its tables."""
    [table] = tables(f"# Summary\n{summary.summary()}")
    for name, verdict, _, goals in table.rows:
        assert (verdict == "–") == goals.startswith("none"), name


def test_tables_are_read_as_they_were_printed(capsys):
    rows = [
        Row(what="one", ours="1 ms", other="a: 2 ms", ratio=0.5, at_most=1, note="noted"),
        Row(what="two", ours="3 ms", other="a: 2 ms", ratio=1.5, at_most=1),
    ]
    assert not print_table("Title, of 2 × 3", rows)
    [table] = tables(capsys.readouterr().out)
    assert table.title == "Title, of 2 × 3"
    assert table.column("measured") == ["one", "two"]
    assert table.rows[0] == ["one", "1 ms", "a: 2 ms", "0.5", "≤ 1", "met", "noted"]
    assert table.rows[1][5:] == ["**missed**", ""]


@pytest.mark.parametrize("times", [[2e-6, 3e-6, 4e-6], [0.001, 0.0025, 0.2], [1.5, 2.0, 300.0]])
def test_times_are_read_as_they_were_written(times):
    assert read_seconds(f"beside 1 process, 10 m: {seconds(times)}") == pytest.approx(
        (times[1], times[0], times[2])
    )


def test_a_time_alone_has_no_range():
    assert read_seconds("6.5 ms") == pytest.approx((0.0065, 0.0065, 0.0065))
    with pytest.raises(ValueError, match=r"'none' contains no time"):
        read_seconds("none")


@pytest.fixture
def ran(monkeypatch):
    """The benchmarks that were run, all of which meet their goals."""
    names = []
    monkeypatch.setattr(run, "goals_met", lambda name, *, quick: names.append(name) or True)
    return names


def test_a_run_skips_benchmarks_whose_data_is_not_there(ran, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run"])
    monkeypatch.setenv("RANKING_COLLECTIONS", "/data")
    monkeypatch.delenv("MINILM_FOLDER", raising=False)
    assert run.main() == 0
    assert {*run.BENCHMARKS} - {*ran} == {"embedding_models"}
    output = capsys.readouterr().out
    assert "Skipped embedding_models: MINILM_FOLDER not set." in output
    assert f"All goals are met. Skipped 1 of {len(run.BENCHMARKS)} benchmarks." in output


def test_a_benchmark_that_is_named_is_not_skipped(ran, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "rankings"])
    monkeypatch.delenv("RANKING_COLLECTIONS", raising=False)
    run.main()
    assert ran == ["rankings"]
