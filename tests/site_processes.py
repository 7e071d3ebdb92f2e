"""Processes of a site, each forked from one that has set up Django.

To start Python, Django and Wagtail takes a second, which is more than most scripts of tests need.
Therefore one process starts them, uses nothing and forks, as prefork servers do:
``python -m tests.site_processes``. It reads requests from its input and writes its answers to its
output, each a line of JSON. Sites whose settings name other databases or folders share it: each
forked process loads the settings again.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Process", "Site", "finished"]

ROOT = Path(__file__).parents[1]

#: The variables that may differ between the processes of one parent. They may decide only settings
#: that are read when they are needed, unlike `INSTALLED_APPS`; see `DECISIVE`.
LATE = frozenset(
    {
        "CLOSED_LOG",
        "PYTEST_CURRENT_TEST",
        "SITE_BACKEND",
        "SITE_FOLDER",
        "TENANTS_BACKEND",
        "TEST_DATABASE",
        "TEST_DATABASE_SETTINGS",
        "TEST_MODEL",
        "TEST_OWNER",
        "TMPDIR",
        "UPGRADE_DATABASE",
    }
)

#: One of them decides `INSTALLED_APPS` by being there, so that sites with and without it have
#: parents of their own.
DECISIVE = "TEST_DATABASE_SETTINGS"

#: What most scripts import, and the parent therefore once for all of them, besides the site's
#: embedding backend.
OFTEN_IMPORTED = [
    "django.core.management.commands.makemigrations",
    "django.core.management.commands.migrate",
    "numpy",
    "tqdm",
    "wagtail_vector_index.backends.numpy.collection",
    "wagtail_vector_index.management.commands.update_vector_indexes",
]


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

    def start(self, *arguments: str) -> Process:
        """Start ``python`` with these arguments: ``-c CODE`` or ``-m django COMMAND …``."""
        late = {name: self.environment[name] for name in LATE & self.environment.keys()}
        fixed = frozenset(self.environment.items() - late.items())
        return Process(parent(fixed, decided=DECISIVE in late), arguments, late)

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

    def __init__(self, environment: Mapping[str, str]) -> None:
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


@functools.lru_cache(maxsize=3)  # each takes 100 MB
def parent(fixed: frozenset[tuple[str, str]], *, decided: bool) -> Parent:
    """Return the parent of the processes with these variables.

    Args:
        fixed: variables with their values.
        decided: whether the processes have the variable `DECISIVE`.
    """
    return Parent(dict(fixed))


class Process:
    """A running process of a site."""

    #: The exit code, or the negative number of the signal that killed it; None until `wait()`.
    returncode: int | None = None

    def __init__(
        self, parent: Parent, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        self._parent = parent
        with tempfile.NamedTemporaryFile(delete=False) as output:
            self._output = Path(output.name)
        self._number = parent.ask(arguments=arguments, environment=environment, output=output.name)

    def wait(self) -> str:
        """Wait until the process ends; return what it has printed, errors included."""
        self.returncode = self._parent.ask(wait=self._number)
        output = self._output.read_text(encoding="utf-8")
        self._output.unlink()
        return output


def forked() -> list[str]:
    """Answer requests. Return the arguments in each process that is forked; none at the end."""
    is_set_up = False
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            for name in LATE:
                os.environ.pop(name, None)  # another site's
            os.environ.update(request["environment"])
            if not is_set_up:
                set_up()
                is_set_up = True
            if not (answer := os.fork()):
                redirect(request["output"])
                load_settings()
                return list(request["arguments"])
        print(answer, flush=True)
    return []


def set_up() -> None:
    import django
    from django.apps import apps
    from django.conf import settings

    django.setup()
    if apps.is_installed("wagtail_vector_index"):
        embedding = settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS["default"]["BACKEND"]
        for name in [*OFTEN_IMPORTED, embedding.rpartition(".")[0]]:
            importlib.import_module(name)


def load_settings() -> None:
    """Load the settings again, from the variables of this process."""
    from django.conf import settings
    from django.db import connections

    apps = settings.INSTALLED_APPS
    for name in [name for name in sys.modules if re.match(r"tests\.(.*\.)?settings", name)]:
        del sys.modules[name]
    settings._setup()
    assert apps == settings.INSTALLED_APPS, "these sites cannot share a parent"
    # Wagtail has asked for the kind of the database, though not connected to it.
    for connection in connections.all(initialized_only=True):
        del connections[connection.alias]
    connections.settings = connections.configure_settings(settings.DATABASES)
    tempfile.tempdir = None


def redirect(path: str) -> None:
    """Let this process print into a file and read nothing."""
    with Path(path).open("wb") as output, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def main() -> None:
    from django.core.management import execute_from_command_line

    match forked():
        case ["-c", code]:
            exec(code, {"__name__": "__main__"})
        case ["-m", "django", *arguments]:
            execute_from_command_line(["django", *arguments])


if __name__ == "__main__":
    main()
