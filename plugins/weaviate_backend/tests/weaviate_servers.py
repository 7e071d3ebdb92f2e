"""The servers that these tests run against: the double, and a real server if one is available."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import containers_work, free_port, free_ports, wait_until_ready

HERE = Path(__file__).parent

IMAGE = "semitechnologies/weaviate:1.39.0"


@dataclass
class Server:
    """A server to connect to.

    Args:
        name: what it is, for the report.
        options: of the backend.
    """

    name: str
    options: dict[str, Any]


@dataclass
class Double(Server):
    """The double, and how to tell it what to do."""

    process: Any = None
    index_url: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self.index_url = f"{self.options['host']}/double/latest"

    def fail(self, *faults: dict[str, Any]) -> None:
        """Begin to count calls, of which these fail."""
        self._tell("faults", list(faults))

    def configure(self, **settings: Any) -> None:
        """Set the server; the double's `Store.configure` lists the settings."""
        self._tell("settings", settings)

    def forget(self) -> None:
        """Drop all collections."""
        self._tell("forget", None)

    @property
    def calls(self) -> list[str]:
        """The calls since `fail`."""
        found: list[str] = self._tell("calls", None)
        return found

    def _tell(self, what: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.options['host']}/double/{what}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


@contextmanager
def double(certificate: str = "", key: str = "") -> Iterator[Double]:
    """The double in a process of its own, so that a fork takes none of its threads along."""
    command = [sys.executable, "-m", "double", *filter(None, (certificate, key))]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        http, grpc = process.stdout.readline().split()
        scheme = "https" if certificate else "http"
        options = {"host": f"{scheme}://127.0.0.1:{http}", "grpc_port": int(grpc)}
        try:
            yield Double(name="double", options=options, process=process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def real_server_found() -> str:
    """What real server there is, in words; empty if there is none."""
    if url := os.environ.get("WEAVIATE_URL"):
        return f"Weaviate at {url}"
    if path := shutil.which("weaviate"):
        return f"Weaviate, started from {path}"
    if containers_work():
        return f"Weaviate in a container of {IMAGE}"
    return ""


@contextmanager
def real_server() -> Iterator[Server]:
    """The real server that there is."""
    if url := os.environ.get("WEAVIATE_URL"):
        port = os.environ.get("WEAVIATE_GRPC_PORT")
        options: dict[str, Any] = {"host": url, "api_key": os.environ.get("WEAVIATE_API_KEY", "")}
        if port:
            options["grpc_port"] = int(port)
        yield Server(name=real_server_found(), options=options)
    elif path := shutil.which("weaviate"):
        with _program(path) as options:
            yield Server(name=real_server_found(), options=options)
    else:
        with _container() as options:
            yield Server(name=real_server_found(), options=options)


@contextmanager
def _program(path: str) -> Iterator[dict[str, Any]]:
    http, grpc, raft, gossip = free_port(), free_port(), free_ports(2), free_ports(2)
    with tempfile.TemporaryDirectory(prefix="weaviate-", ignore_cleanup_errors=True) as folder:
        environment = os.environ | {
            "PERSISTENCE_DATA_PATH": folder,
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_IN_LOCALHOST": "true",
            "GO_PROFILING_DISABLE": "true",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "GRPC_PORT": str(grpc),
            "LOG_LEVEL": "error",
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft + 1),
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_DATA_BIND_PORT": str(gossip + 1),
        }
        command = [path, "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"]
        log = Path(folder) / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder
            ) as process,
        ):
            try:
                wait_until_ready(f"http://127.0.0.1:{http}/v1/.well-known/ready", process, log)
                yield {"host": f"http://127.0.0.1:{http}", "grpc_port": grpc}
            finally:
                process.terminate()
                process.wait(30)


@contextmanager
def _container() -> Iterator[dict[str, Any]]:
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(IMAGE).with_exposed_ports(8080, 50051)
    container.with_env("AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED", "true")
    container.with_env("PERSISTENCE_DATA_PATH", "/var/lib/weaviate")
    with container:
        host = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8080)}"
        wait_until_ready(f"{host}/v1/.well-known/ready")
        yield {"host": host, "grpc_port": int(container.get_exposed_port(50051))}
