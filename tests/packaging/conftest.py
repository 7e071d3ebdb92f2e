"""Built distributions, and a fresh environment to install them in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from distributions import EXAMPLES, FOLDERS, Built, Environment, uv


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Every distribution: a source distribution, and a wheel made from that."""
    wheels, sdists = {}, {}
    everything = tmp_path_factory.mktemp("everything")
    for name, source in {**FOLDERS, **EXAMPLES}.items():
        folder = tmp_path_factory.mktemp(name)
        uv("build", "--quiet", "--out-dir", folder, source)
        [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
        wheels[name] = wheel.rename(everything / wheel.name)
        sdists[name] = sdist.rename(everything / sdist.name)
    return Built(folder=everything, wheels=wheels, sdists=sdists)


@pytest.fixture
def environment(tmp_path: Path, built: Built) -> Environment:
    """A fresh virtual environment, with nothing in it."""
    folder = tmp_path / "environment"
    uv("venv", "--quiet", "--python", sys.executable, folder)
    return Environment(folder=folder, built=built)
