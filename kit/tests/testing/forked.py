"""Modules that run as ``python -m`` runs them, each in a process forked from a prepared one."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["run_module"]

#: To import these takes longer than most runs do without them. None is of this project: each run
#: imports that itself.
PREPARED = ["django.db.models", "django.forms", "pytest", f"{__name__}_imports"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PREPARED)


def run_module(
    name: str, words: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> tuple[int | None, str]:
    """Run a module with these words in a folder; return its status and all that it prints."""
    with tempfile.NamedTemporaryFile() as output:
        arguments = (name, words, folder, dict(environment), output.name)
        process = _context.Process(target=_run, args=arguments)
        process.start()
        process.join()
        return process.exitcode, Path(output.name).read_text(encoding="utf-8")


def _run(
    name: str, words: tuple[str, ...], folder: Path, environment: dict[str, str], output: str
) -> None:
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [name, *words]
    sys.path[0] = str(folder)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
