"""What is expensive to make is made once in a run, and shared by the workers of pytest-xdist."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

__all__ = ["folder_of_run", "shared"]


def folder_of_run(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder that all workers of a run have in common."""
    folder = factory.getbasetemp()
    return folder.parent if hasattr(config, "workerinput") else folder


@contextmanager
def shared(
    folder: Path, name: str, make: Callable[[], Any], drop: Callable[[Any], object]
) -> Iterator[Any]:
    """Share a value with all processes that use this folder and name.

    The first process makes the value, while the others wait. The last one drops it. Enter this
    in a fixture of the scope "session": the value of a narrower one may be dropped and made again.

    Args:
        folder: a folder that all of them have.
        name: the name of the value there.
        make: returns the value, which JSON can hold.
        drop: cleans up after it.

    Yields:
        The value, as JSON returns it.
    """
    file = folder / f"{name}.json"
    lock = FileLock(f"{file}.lock")
    with lock:
        state = json.loads(file.read_text()) if file.exists() else {"value": make(), "users": 0}
        state["users"] += 1
        file.write_text(json.dumps(state))
    try:
        yield state["value"]
    finally:
        with lock:
            state = json.loads(file.read_text())
            state["users"] -= 1
            file.write_text(json.dumps(state))
            if not state["users"]:
                file.unlink()
                drop(state["value"])
