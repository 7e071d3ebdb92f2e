"""The ten lines of core's README: from an empty environment to the first result of a search."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from distributions import CORE, FOLDERS, Environment
from following import BLOCK, Reader, outside

README = FOLDERS[CORE] / "README.md"


def ten_lines() -> str:
    """The section of the README."""
    text = README.read_text(encoding="utf-8")
    return text.partition("\n## Ten lines to a first result\n")[2].partition("\n## ")[0]


def test_lines_are_ten() -> None:
    """Without comments, blank lines and what is printed."""
    blocks = [b["code"] for b in BLOCK.finditer(ten_lines()) if b["language"] != "text"]
    lines = [line for code in blocks for line in code.splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="The commands are those of a POSIX shell.")
def test_lines_work_with_the_built_files(tmp_path: Path, environment: Environment) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    reader = Reader(folder, outside(environment.built))
    reader.activate(environment.python.parent)
    reader.follow_all(ten_lines())

    ours = environment.installed() & set(FOLDERS)
    assert ours == {CORE, f"{CORE}-numpy", f"{CORE}-wordllama"}
    assert all(environment.has_built(name) for name in ours)
