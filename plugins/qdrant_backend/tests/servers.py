"""A real Qdrant server for the tests, where there is one to be had."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

#: What a container is made of; QDRANT_IMAGE names another.
IMAGE = "qdrant/qdrant:v1.19.0"

#: Seconds until a server must answer.
START = 60.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a server is.

    Args:
        url: of REST.
        grpc_port: of gRPC, on the same machine.
        api_key: its key, if it wants one.
    """

    url: str
    grpc_port: int
    api_key: str = ""


@functools.cache
def found() -> str:
    """Which server there is: "url", "program", "container", or "" for none."""
    if os.environ.get("QDRANT_URL"):
        return "url"
    if shutil.which("qdrant"):
        return "program"
    if importlib.util.find_spec("testcontainers") and _engine_answers():
        return "container"
    return ""


def described() -> str:
    """For the report's header."""
    kinds = {
        "url": f"the server at {os.environ.get('QDRANT_URL')} (QDRANT_URL)",
        "program": f"a server started with {shutil.which('qdrant')}",
        "container": f"a container of {_image()}",
        "": "no server (no QDRANT_URL, no program 'qdrant', no container engine with"
        " testcontainers): local mode and the double only",
    }
    return kinds[found()]


@contextmanager
def running() -> Iterator[Server]:
    """The server; started and stopped, unless it is one that QDRANT_URL names."""
    if found() == "url":
        yield Server(
            url=os.environ["QDRANT_URL"],
            grpc_port=int(os.environ.get("QDRANT_GRPC_PORT", "6334")),
            api_key=os.environ.get("QDRANT_API_KEY", ""),
        )
    elif found() == "program":
        with _program() as server:
            yield server
    else:
        with _container() as server:
            yield server


@contextmanager
def _program() -> Iterator[Server]:
    http, grpc = _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(http),
            "QDRANT__SERVICE__GRPC_PORT": str(grpc),
            "QDRANT__STORAGE__STORAGE_PATH": str(Path(folder) / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(Path(folder) / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        process = subprocess.Popen(
            ["qdrant"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            server = Server(url=f"http://127.0.0.1:{http}", grpc_port=grpc)
            _wait_for(server)
            yield server
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _container() -> Iterator[Server]:
    from testcontainers.core.container import DockerContainer

    with DockerContainer(_image()).with_exposed_ports(6333, 6334) as container:
        host = container.get_container_host_ip()
        server = Server(
            url=f"http://{host}:{container.get_exposed_port(6333)}",
            grpc_port=int(container.get_exposed_port(6334)),
        )
        _wait_for(server)
        yield server


def _image() -> str:
    return os.environ.get("QDRANT_IMAGE", IMAGE)


def _engine_answers() -> bool:
    program = shutil.which("docker") or shutil.which("podman")
    if program is None:
        return False
    command = [program, "info"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _free_port() -> int:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait_for(server: Server) -> None:
    deadline = time.monotonic() + START
    with httpx.Client() as client:
        while True:
            try:
                if client.get(f"{server.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)
