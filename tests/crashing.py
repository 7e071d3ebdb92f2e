"""Servers of vector backends that tests kill and start again, with what they have stored."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers import free_port, free_ports, wait_until_ready

__all__ = ["SERVERS", "Server", "qdrant_cluster"]


@dataclass
class Server:
    """A server in a folder of its own, at the same ports whenever it is started.

    Args:
        command: the program and its arguments.
        environment: what the program reads from its environment.
        ready: the address that answers once the server can be used.
        options: the options of the backend.
        folder: where its output goes.
    """

    command: list[str]
    environment: dict[str, str]
    ready: str
    options: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the server, and wait until it can be used."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        wait_until_ready(self.ready, self.process, log)

    def kill(self) -> None:
        """Kill the server, which gets no chance to write anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Stop the server, so that it keeps its connections and answers nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)


def weaviate(program: str, folder: Path) -> Server:
    """Return a Weaviate server of one node."""
    http, grpc, raft, gossip = free_port(), free_port(), free_ports(2), free_ports(2)
    url = f"http://127.0.0.1:{http}"
    return Server(
        command=[program, "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"],
        environment={
            "PERSISTENCE_DATA_PATH": str(folder / "data"),
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
        },
        ready=f"{url}/v1/.well-known/ready",
        options={"BACKEND": "weaviate", "HOST": url, "GRPC_PORT": grpc},
        folder=folder,
    )


def qdrant(program: str, folder: Path) -> Server:
    """Return a Qdrant server of one node."""
    http, grpc = free_port(), free_port()
    url = f"http://127.0.0.1:{http}"
    return Server(
        command=[program],
        environment={
            "QDRANT__SERVICE__HOST": "127.0.0.1",
            "QDRANT__SERVICE__HTTP_PORT": str(http),
            "QDRANT__SERVICE__GRPC_PORT": str(grpc),
            "QDRANT__STORAGE__STORAGE_PATH": str(folder / "data"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "QDRANT__TELEMETRY_DISABLED": "true",
        },
        ready=f"{url}/readyz",
        options={"BACKEND": "qdrant", "HOST": url},
        folder=folder,
    )


def qdrant_cluster(program: str, folder: Path, count: int) -> list[Server]:
    """Return started Qdrant servers that are nodes of one cluster, with recommended options."""
    nodes: list[Server] = []
    first = ""
    for number in range(count):
        own = folder / str(number)
        own.mkdir()
        node = qdrant(program, own)
        address = f"http://127.0.0.1:{(port := free_port())}"
        node.environment = node.environment | {
            "QDRANT__CLUSTER__ENABLED": "true",
            "QDRANT__CLUSTER__P2P__PORT": str(port),
        }
        node.command += ["--uri", address, *(["--bootstrap", first] if first else [])]
        node.options = node.options | {
            "SHARD_NUMBER": 6,
            "REPLICATION_FACTOR": 3,
            "WRITE_CONSISTENCY_FACTOR": 2,
            "CONSISTENCY": "quorum",
            "WRITE_TIMEOUT": 60,
        }
        node.start()
        first = first or address
        nodes.append(node)
    return nodes


#: The servers, by the name of their backend.
SERVERS: Mapping[str, Callable[[str, Path], Server]] = {"weaviate": weaviate, "qdrant": qdrant}
