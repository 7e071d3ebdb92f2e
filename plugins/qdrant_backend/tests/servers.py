"""A real Qdrant server for the tests, if one is available."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import containers_work, free_port, wait_until_ready

#: What a container is made of; QDRANT_IMAGE names another.
IMAGE = "qdrant/qdrant:v1.19.0"


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
    if containers_work():
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
    http, grpc = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(http),
            "QDRANT__SERVICE__GRPC_PORT": str(grpc),
            "QDRANT__STORAGE__STORAGE_PATH": str(Path(folder) / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(Path(folder) / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        }
        log = Path(folder) / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                ["qdrant"], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                server = Server(url=f"http://127.0.0.1:{http}", grpc_port=grpc)
                wait_until_ready(f"{server.url}/readyz", process, log)
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
        wait_until_ready(f"{server.url}/readyz")
        yield server


def _image() -> str:
    return os.environ.get("QDRANT_IMAGE", IMAGE)
