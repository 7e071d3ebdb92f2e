"""The distributions that `nox -s release` built, and a fresh environment to install them in."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import copy

import pytest
from distributions import EXAMPLES, FOLDERS, ROOT, Built, Environment, unreleasable, uv

DIST = ROOT / "dist"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tag", help="publish as this; an error unless it is what was built")


def pytest_configure(config: pytest.Config) -> None:
    if not any(DIST.glob("*.whl")):
        raise pytest.UsageError("There is nothing to test in dist/: run `nox -s release`.")
    tag = config.getoption("--tag")
    if tag is None:
        return
    notes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    fragments = [file.name for file in (ROOT / "changelog.d").glob("*.*.md")]
    if reason := unreleasable(tag, notes, fragments):
        raise pytest.UsageError(reason)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Every distribution: a source distribution, and a wheel made from that."""
    wheels, sdists = {}, {}
    everything = tmp_path_factory.mktemp("everything")
    for names, folder in ((FOLDERS, DIST), (EXAMPLES, DIST / "examples")):
        for name in names:
            file = name.replace("-", "_")
            [wheel], [sdist] = folder.glob(f"{file}-*.whl"), folder.glob(f"{file}-*.tar.gz")
            wheels[name], sdists[name] = (Path(copy(each, everything)) for each in (wheel, sdist))
    return Built(folder=everything, wheels=wheels, sdists=sdists)


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory, built: Built) -> Environment:
    """A fresh virtual environment, with nothing in it.

    In one run they all have the same path, so that Python compiles Wagtail for only one of them.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base / "environment"
    uv("venv", "--quiet", "--clear", "--python", sys.executable, folder)
    return Environment(folder=folder, built=built, compiled=base / "compiled")
