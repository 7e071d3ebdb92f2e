"""The guide about task queues is followed with each queue, and with its real worker."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

from .code_blocks import ROOT, block, blocks

GUIDE = ROOT / "docs" / "how-to" / "task-queue.md"
MANAGE = Path(__file__).with_name("queue_site.py")
MODEL = """
from django.db import models
from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin

class Recipe(VectorIndexedMixin, models.Model):
    text = models.TextField()
    embedding_fields = [EmbeddingField("text")]
"""
#: The queues in the guide's order, and how its worker is told to end when all is done.
WORKERS = {
    "database": ["db_worker", "--batch", "--no-startup-delay"],
    "redis": ["rqworker", "--burst"],
    "celery": ["celery"],
}
pytestmark = pytest.mark.once


@pytest.fixture
def redis() -> Iterator[str]:
    """Start a server of Redis, and return its address."""
    if not (program := shutil.which("redis-server")):
        pytest.skip("redis-server is not on the PATH")
    port = free_port()
    command = [program, "--port", str(port), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert any("Ready to accept connections" in line for line in server.stdout)
        yield f"redis://127.0.0.1:{port}/0"
        server.kill()


@pytest.mark.parametrize("queue", WORKERS)
def test_a_change_is_indexed_by_the_worker(
    queue: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name, text in {
        "recipes/__init__.py": "",
        "recipes/models.py": MODEL,
        "blog/__init__.py": "",
        "blog/celery_tasks.py": block("blog/celery_tasks.py", GUIDE),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "messages").mkdir()
    settings = settings_of(queue)
    if queue == "redis":
        settings["RQ_QUEUES"]["default"]["URL"] = request.getfixturevalue("redis")

    def manage(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(MANAGE), *words],
            cwd=tmp_path,
            env={**os.environ, "QUEUE_SETTINGS": json.dumps(settings)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def indexed() -> set[str]:
        with closing(sqlite3.connect(tmp_path / "site.sqlite3")) as connection:
            rows = connection.execute("SELECT content FROM wvi_document WHERE deleted_at IS NULL")
            return {text for (text,) in rows}

    manage("makemigrations", "recipes")
    manage("migrate", "--verbosity", "0")
    manage("update_vector_indexes")
    create = "from recipes.models import Recipe; Recipe.objects.create(text='{}')"
    manage("shell", "--no-imports", "--command", create.format("bread"))
    assert indexed() == set()
    command, *ending = WORKERS[queue]
    manage(*worker_of(command), *ending)
    assert indexed() == {"bread"}


def settings_of(queue: str) -> dict[str, Any]:
    """Return the settings that the guide gives for a queue."""
    given = [b for b in blocks("python", GUIDE) if b.title == "settings.py"]
    values: dict[str, Any] = {}
    exec(dict(zip(WORKERS, given, strict=True))[queue].code, values)  # the guide's code
    return {name: value for name, value in values.items() if name.isupper()}


def worker_of(command: str) -> list[str]:
    """Return the words by which the guide starts a worker, if it does."""
    lines = [shlex.split(line) for b in blocks("sh", GUIDE) for line in b.code.splitlines()]
    return next((words[2:] for words in lines if words[2:3] == [command]), [command])
