"""Tests with real servers: each of several workers on one database sees every change."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from tests.servers import free_port, wait_until_ready
from tests.site_processes import ROOT, Site

pytestmark = pytest.mark.once

WORKERS = 2

#: The number of requests after which, in our experience, each worker has answered at least one.
REQUESTS = 500

PREPARE = """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from tests.notes.models import Note
Note.objects.bulk_create(Note(text=text) for text in ("bread", "cheese", "wine"))
call_command("update_vector_indexes", "note", verbosity=0)
"""

#: In another process, a change that sends no signal, and a rebuild of the index.
REBUILD = """
from django.core.management import call_command
from tests.notes.models import Note
Note.objects.filter(text="wine").update(text="butter")
call_command("update_vector_indexes", "note", rebuild=True, verbosity=0)
"""

SERVERS = {
    "gunicorn": [
        "gunicorn", "tests.serving:wsgi", "--preload", f"--workers={WORKERS}", "--bind=127.0.0.1:{}"
    ],
    "uvicorn": [
        "uvicorn", "tests.serving:asgi", f"--workers={WORKERS}", "--port={}", "--log-level=warning"
    ],
}  # fmt: skip


class Server:
    """A running server, and its environment."""

    def __init__(self, url, environment):
        self.url = url
        self.environment = environment

    def ask(self, path, text):
        url = f"{self.url}{path}?{urllib.parse.urlencode({'text': text})}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)

    def best_of_each_worker(self, path, text):
        """Return the first result of each worker, by the worker's process."""
        best = {}
        for _ in range(REQUESTS):
            answer = self.ask(path, text)
            best.setdefault(answer["process"], answer["found"][0])
            if len(best) == WORKERS:
                return best
        raise AssertionError(f"only {len(best)} of {WORKERS} workers answered")


@contextmanager
def serving(name, environment):
    """Run a server of this name until the end of the block, and wait until its workers end."""
    port = free_port()
    command = [sys.executable, "-m", *(word.format(port) for word in SERVERS[name])]
    process = subprocess.Popen(command, env={**environment, "SERVE": name}, cwd=ROOT)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/search?text=bread", process)
        yield Server(f"http://127.0.0.1:{port}", environment)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("name", "database"),
    [("gunicorn", "sqlite"), ("gunicorn", "postgresql"), ("uvicorn", "sqlite")],
    indirect=["database"],
)
def test_each_worker_sees_every_change_within_one_request(name, database, tmp_path):
    pytest.importorskip(name)
    closed = tmp_path / "closed.log"
    site = Site(
        {
            "DJANGO_SETTINGS_MODULE": "tests.settings_serving",
            "CLOSED_LOG": str(closed),
            **database,
        }
    )
    site.script(PREPARE)
    environment = {**site.environment, "HOME": str(tmp_path)}  # gunicorn puts a socket there
    path = "/asearch" if name == "uvicorn" else "/search"
    with serving(name, environment) as server:
        workers = server.best_of_each_worker(path, "bread")
        assert set(workers.values()) == {"bread"}
        for text in ("cake", "tea", "water"):
            server.ask("/write", text)
            assert set(server.best_of_each_worker(path, text).values()) == {text}
        site.script(REBUILD)
        after = server.best_of_each_worker(path, "butter")
        assert after == dict.fromkeys(workers, "butter")
    if name == "uvicorn":
        return  # this server ends its workers by a signal, after which Python runs no more code
    lines = closed.read_text().splitlines()
    assert workers.keys() <= {json.loads(line)["process"] for line in lines}
