"""Helpers that start a server for the tests of its client."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

#: The most seconds that a server may take to start.
START = 60.0


@functools.cache
def containers_work() -> bool:
    """Return whether a container engine runs and testcontainers is installed."""
    program = shutil.which("docker") or shutil.which("podman")
    if program is None or not importlib.util.find_spec("testcontainers"):
        return False
    command = [program, "info"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def free_ports(count: int) -> int:
    """Return the first of ``count`` free ports in a row."""
    while True:
        first = free_port()
        if all(_is_free(port) for port in range(first + 1, first + count)):
            return first


def free_port() -> int:
    """Return a port on which no program listens."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_until_ready(
    url: str, process: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> None:
    """Wait until this address answers with success.

    Raises:
        RuntimeError: the process ended before, or did not answer in time. The message has the
            end of its log.
    """
    end = time.monotonic() + START
    while time.monotonic() < end and (process is None or process.poll() is None):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    said = log.read_text(errors="replace")[-2_000:] if log else ""
    raise RuntimeError(f"{url} did not answer within {START:g} seconds. {said}")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as listening:
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
