"""Calls in a new process of Python, which hashes texts differently."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["in_new_process"]

#: How many seconds may it take to import everything, and to load a model?
TIMEOUT = 120

PROGRAM = """
import json, os, pickle, sys
if os.environ.get("DJANGO_SETTINGS_MODULE"):
    import django
    django.setup()
work, arguments = pickle.load(sys.stdin.buffer)
print()
print(json.dumps(work(*arguments)))
"""


def in_new_process(work: Callable[..., Any], *arguments: object) -> Any:
    """Return what this returns there, as JSON can hold it. Skip the test if it cannot be called.

    A class within a function, or a service that only this process can reach, breaks no rule.
    """
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    path = os.pathsep.join(folder for folder in sys.path if isinstance(folder, str))
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
    try:
        done = subprocess.run(  # noqa: S603  # this Python, and a program of ours
            [sys.executable, "-c", PROGRAM],
            input=pickle.dumps((work, arguments)),
            env=os.environ | environment,
            capture_output=True,
            check=True,
            timeout=TIMEOUT,
        )
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    except Exception as error:  # noqa: BLE001  # pickle raises errors of many kinds
        reason = f"{type(error).__name__}: {error}"
    pytest.skip(f"the backend cannot be used in a new process: {reason}")
