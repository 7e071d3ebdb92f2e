"""Wagtail's own tests of search backends, in settings of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_wagtails_tests_of_search_backends_pass() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "django", "test", "tests.wagtail_search.suite"]
    result = subprocess.run(
        [*command, "--settings=tests.wagtail_search.settings"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (found,) = re.findall(r"Found (\d+) test", result.stdout)
    (skipped,) = re.findall(r"OK \(skipped=(\d+)\)", result.stderr)
    assert int(found) - int(skipped) > 80
