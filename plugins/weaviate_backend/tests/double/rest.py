"""The double's REST interface, and the paths by which a test controls the double."""

from __future__ import annotations

import json
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from .faults import Fault, Faults
from .rpc import ONLY_READS
from .store import Refused, Store

Answer = tuple[int, Any]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: Store
    faults: Faults

    def do_GET(self) -> None:
        self._respond("GET")  # also what the client asks of a package index

    def do_POST(self) -> None:
        self._respond("POST")

    def do_PUT(self) -> None:
        self._respond("PUT")

    def do_DELETE(self) -> None:
        self._respond("DELETE")

    def _respond(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        path = urlsplit(self.path).path.strip("/").split("/")
        if path[0] == "double":
            self._send(200, self._told(path[1], body))
            return
        fault = self.faults.next(f"{method} {'/'.join(path[1:2])}")
        if fault is not None and self._fails(fault, method, path, body):
            return
        self._send(*self._answer(method, path[1:], body))

    def _told(self, what: str, body: Any) -> Any:
        if what == "faults":
            self.faults.reset(body)
        elif what == "settings":
            self.store.configure(body)
        elif what == "forget":
            self.store.collections.clear()
        elif what == "latest":
            return {"info": {"version": self.store.settings["latest_client"]}}
        return self.faults.calls

    def _fails(self, fault: Fault, method: str, path: list[str], body: Any) -> bool:
        if fault.kind == "delay" and fault.delay():
            return False
        if fault.kind == "drop":
            self._answer(method, path[1:], body)
        if fault.kind in ("drop", "refuse", "delay"):
            # With a linger of 0 seconds, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return True
        if fault.kind.isdigit():
            self._send(int(fault.kind), {"error": [{"message": fault.text}]})
            return True
        return False

    def _answer(self, method: str, path: list[str], body: Any) -> Answer:
        key = self.store.settings["key"]
        if not key and self.headers.get("Authorization"):
            said = (
                "no authentication scheme is configured (API Key or OIDC), but an 'Authorization'"
                " header was provided. Please configure an auth scheme or remove the header for"
                " anonymous access"
            )
            return 401, {"code": 401, "message": said}
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            said = (
                "unauthorized: invalid api key"
                if self.headers.get("Authorization")
                else (
                    "anonymous access not enabled. Please authenticate through one of the available"
                    " methods: [API-keys]"
                )
            )
            return 401, {"code": 401, "message": said}
        if method != "GET" and self.store.settings["only_reads"]:
            return 403, {"error": [{"message": f"{ONLY_READS} change a collection"}]}
        try:
            return self._done(method, path, body)
        except Refused as error:
            return 422, {"error": [{"message": str(error)}]}

    def _done(self, method: str, path: list[str], body: Any) -> Answer:
        if path == ["meta"]:
            version = self.store.settings["version"]
            return 200, {"version": version, "grpcMaxMessageSize": 104_858_000, "modules": {}}
        if path[0] == "nodes":
            return self._nodes(path[1:])
        if path == ["cluster", "statistics"]:
            return self._statistics()
        if path[0] == "objects":
            return self._delete_object(path[1], path[2])
        if path[0] != "schema":
            return 404, {"code": 404, "message": f"path /v1/{'/'.join(path)} was not found"}
        if len(path) == 1:
            return self._schema(method, body)
        return self._collection(method, path[1], path[2:], body)

    def _schema(self, method: str, body: Any) -> Answer:
        if method == "POST":
            if self.store.settings["read_only"]:
                return 422, {"error": [{"message": "store is read-only"}]}
            return 200, self.store.create(_completed(body))
        return 200, {"classes": [each.config for each in self.store.collections.values()]}

    def _collection(self, method: str, name: str, rest: list[str], body: Any) -> Answer:
        if method == "DELETE":
            self.store.drop(name)
            return 200, None
        found = self.store.collections.get(self.store.settings["aliases"].get(name, name))
        if found is None:
            return 404, None
        if rest == ["shards"]:
            status = "READONLY" if self.store.settings["read_only"] else "READY"
            return 200, [{"name": "shard", "status": status, "vectorQueueSize": 0}]
        if method == "PUT":
            found.config = body
        return 200, found.config

    def _delete_object(self, name: str, id: str) -> Answer:
        with self.store.lock:
            if id not in self.store.get(name).records:
                return 404, None
            if not self.store.delete(name, [id]):
                return 500, {"error": [{"message": "store is read-only due to: disk usage"}]}
        return 204, None

    def _statistics(self) -> Answer:
        if self.store.settings["no_statistics"]:
            return 403, {"error": [{"message": "forbidden"}]}
        raft = {
            "term": str(1 + self.store.settings["starts"]),
            "latestConfigurationIndex": "1",
            "latestConfiguration": [
                {"id": name, "address": "127.0.0.1:8300", "suffrage": 0}
                for name in self.store.settings["members"]
            ],
        }
        one = {"name": "double", "status": "HEALTHY", "initialLastAppliedIndex": 0, "raft": raft}
        return 200, {"statistics": [one], "synchronized": True}

    def _nodes(self, path: list[str]) -> Answer:
        queue = self.store.settings["queue"]
        waiting = queue.pop(0) if queue and path else 0
        shards = [
            {
                "class": name,
                "name": "shard",
                "objectCount": len(each.records),
                "vectorIndexingStatus": self._indexing_status(waiting),
                "vectorQueueLength": waiting,
            }
            for name, each in self.store.collections.items()
            if not path or path[0] == name
        ]
        if path and not shards:
            return 404, {"error": [{"message": f"class {path[0]} not found"}]}
        version = self.store.settings["version"]
        nodes = [
            {"status": "HEALTHY", "operationalMode": "ReadWrite", "version": version}
            | ({"shards": shards} if each["name"] == "double" else {})
            | each
            for each in self.store.settings["nodes"]
        ]
        return 200, {"nodes": nodes}

    def _indexing_status(self, waiting: int) -> str:
        if self.store.settings["read_only"]:
            return "READONLY"
        return "INDEXING" if waiting else "READY"

    def _send(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client has gone: it timed out

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """A schema as the server gives it back: with what was left out of it."""
    for vector in config.get("vectorConfig", {}).values():
        index = vector["vectorIndexConfig"]
        for graph in (index, *(each for each in index.values() if isinstance(each, dict))):
            if "maxConnections" in graph:
                for kind in ("pq", "sq", "bq", "rq"):
                    graph.setdefault(kind, {"enabled": False})
    sharding = config.setdefault("shardingConfig", {})
    sharding["actualCount"] = sharding.get("desiredCount", 1)
    return config
