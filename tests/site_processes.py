"""Processes of a site, each forked from one that has set up Django.

To start Python, Django and Wagtail takes a second, which is more than most scripts of tests need.
Therefore a site has one process that starts them, uses nothing and forks, as prefork servers do:
``python -m tests.site_processes``. It reads requests from its input and writes its answers to its
output, each a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Process", "Site", "finished"]

ROOT = Path(__file__).parents[1]


class Site:
    """A site in a database, on which each script runs in a process of its own.

    Processes read ``environment`` when they start, so tests can change it between them.
    """

    def __init__(self, database: Mapping[str, str]) -> None:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings_file",
            "PYTHONPATH": str(ROOT),
            **database,
        }
        self._parent: Parent | None = None

    def start(self, *arguments: str) -> Process:
        """Start ``python`` with these arguments: ``-c CODE`` or ``-m django COMMAND …``."""
        if self._parent is None or self._parent.environment != self.environment:
            self._parent = Parent(dict(self.environment))
        return Process(self._parent, arguments)

    def run(self, *arguments: str) -> str:
        """Run ``python`` with these arguments; return its output."""
        return finished(self.start(*arguments))

    def script(self, code: str) -> str:
        """Run code; return its output."""
        return self.run("-c", code)


def finished(process: Process) -> str:
    """Return the output of a process that must succeed."""
    output = process.wait()
    assert process.returncode == 0, output
    return output


class Parent:
    """The process that has set up Django. It ends when nobody holds this object any more."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.close = weakref.finalize(self, self._process.communicate)

    def ask(self, **request: Any) -> int:
        """Send a request; return the answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the site's settings cannot be loaded"
        return int(json.loads(answer))


class Process:
    """A running process of a site."""

    #: The exit code, or the negative number of the signal that killed it; None until `wait()`.
    returncode: int | None = None

    def __init__(self, parent: Parent, arguments: tuple[str, ...]) -> None:
        self._parent = parent
        with tempfile.NamedTemporaryFile(delete=False) as output:
            self._output = Path(output.name)
        self._number = parent.ask(arguments=arguments, output=output.name)

    def wait(self) -> str:
        """Wait until the process ends; return what it has printed, errors included."""
        self.returncode = self._parent.ask(wait=self._number)
        output = self._output.read_text(encoding="utf-8")
        self._output.unlink()
        return output


def forked() -> list[str]:
    """Answer requests. Return the arguments in each process that is forked; none at the end."""
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif not (answer := os.fork()):
            redirect(request["output"])
            return list(request["arguments"])
        print(answer, flush=True)
    return []


def redirect(path: str) -> None:
    """Let this process print into a file and read nothing."""
    with Path(path).open("wb") as output, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def main() -> None:
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    match forked():
        case ["-c", code]:
            exec(code, {"__name__": "__main__"})
        case ["-m", "django", *arguments]:
            execute_from_command_line(["django", *arguments])


if __name__ == "__main__":
    main()
