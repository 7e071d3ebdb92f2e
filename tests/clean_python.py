"""A new Python process for tests of what an import loads."""

from __future__ import annotations

import os
import subprocess
import sys

__all__ = ["run_python"]


def run_python(code: str) -> str:
    """Run code in a process without our modules; return what it prints, which is no warning."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout
