"""The guide "Write a backend": its commands, run in an empty folder, and their files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wagtail_vector_index.scaffold.naming import STORES

from .code_blocks import ROOT
from .test_documents import rows

GUIDE = ROOT / "docs" / "how-to" / "write-a-backend.md"
HEADING = "Start from a working one"
SECTION = GUIDE.read_text(encoding="utf-8").partition(f"\n## {HEADING}\n")[2].partition("\n## ")[0]
MODULE = "python -m wagtail_vector_index startvectorbackend acme"
DJANGO = "django-admin startvectorbackend acme --settings=wagtail_vector_index.scaffold.settings"


def start(command: str, folder: Path, *arguments: str) -> Path:
    """Run one of the guide's commands, and return the folder that it says to go to."""
    program = command.replace("django-admin", "python -m django").split()
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    result = subprocess.run(
        [sys.executable, *program[1:], *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    [started] = re.findall(r"^  cd (.*)$", result.stdout, re.MULTILINE)
    return folder / started


@pytest.mark.parametrize("command", [MODULE, DJANGO])
def test_its_commands_write_its_files(command: str, tmp_path: Path) -> None:
    assert command in SECTION
    started = start(command, tmp_path)
    assert f"\ncd {started.name}\n" in SECTION
    files = [name.strip("`") for name, *_ in rows("Fill it in", GUIDE) if re.search(r"[/.]", name)]
    assert len(files) > 3
    assert [name for name in files if not (started / name).is_file()] == []
    readme = (started / "README.md").read_text(encoding="utf-8")
    guide = GUIDE.read_text(encoding="utf-8")
    [setting] = re.findall(r'^    "default": {"BACKEND": "acme".*$', guide, re.MULTILINE)
    assert setting in readme


@pytest.mark.parametrize("store", STORES)
def test_it_names_every_store_and_its_files(store: str, tmp_path: Path) -> None:
    assert f"`--store {store}`" in SECTION
    started = start(MODULE, tmp_path, "--store", store)
    named = re.findall(rf"With `--store {store}`, (.*?)\.\n", GUIDE.read_text(), re.DOTALL)
    files = [name for sentence in named for name in re.findall(r"`(\w+\.py)`", sentence)]
    assert len(files) == (2 if store == "service" else 0)
    assert [name for name in files if not [*started.rglob(name)]] == []


def test_the_other_kind(tmp_path: Path) -> None:
    assert "`--kind embedding` starts an embedding backend" in SECTION
    assert start(MODULE, tmp_path, "--kind", "embedding").name == "acme-wagtail-embeddings"


def test_its_steps_are_those_that_the_command_names(tmp_path: Path) -> None:
    """They are run to their end by `nox -s release`."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    [steps] = [block.splitlines() for block in blocks if MODULE in block]
    assert steps[:2] == ['python -m pip install "wagtail-vector-index[testing]"', MODULE]
    readme = (start(MODULE, tmp_path) / "README.md").read_text(encoding="utf-8")
    for step in steps[3:]:
        assert step.removeprefix("python -m ") in readme
