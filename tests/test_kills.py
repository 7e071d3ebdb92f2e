"""Tests that kill editors and indexers at random moments, while content changes in many ways.

The editors publish, move, restrict and delete pages, and, in autocommit, snippets and documents.
KILL_TEST_KILLS sets the number of kills for each database and backend, and KILL_TEST_SEED the
seed of the random moments. Without KILL_TEST_KILLS, there are few kills, and two of the four
combinations are left out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("KILL_TEST_KILLS", "10"))
IS_LONG = "KILL_TEST_KILLS" in os.environ
SEED = os.environ.get("KILL_TEST_SEED", "1")

#: The timeout in seconds. A kill takes one to five seconds, and the rest of the test up to 200.
SECONDS = 10 * KILLS + 200

long_form = pytest.mark.skipif(not IS_LONG, reason="only if KILL_TEST_KILLS is set")


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    ("database", "backend"),
    [
        ("sqlite", "numpy"),
        pytest.param("sqlite", "folder", marks=long_form),
        pytest.param("postgresql", "numpy", marks=long_form),
        ("postgresql", "pgvector"),
    ],
    indirect=["database"],
)
def test_after_kills_one_update_makes_the_index_as_if_built_from_scratch(
    database, backend, tmp_path
):
    environment = {**os.environ, "SITE_FOLDER": str(tmp_path), "SITE_BACKEND": backend, **database}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.killing.run", str(KILLS), SEED],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        try:
            output, _ = run.communicate(timeout=SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)  # kills the processes that it has forked as well
    assert run.returncode == 0, output
    told = json.loads(output.splitlines()[-1])
    print(told)
    assert sum(told["kills"].values()) >= KILLS
    assert told["kills"]["when_the_backend_is_told"]
    assert told["kills"]["before_a_change_is_noted"]
    assert told["promises"]
    assert min(told["documents"]) > 0
    assert told["compared_after_drains"] == 4
