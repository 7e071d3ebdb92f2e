"""A double of the hub from which the library downloads models, on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repository: str, folder: Path) -> Iterator[str]:
    """Serve the files of a folder as a repository, and yield the URL."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    listed = [
        {"type": "file", "path": name, "size": len(content), "oid": sha(content)}
        for name, content in files.items()
    ]
    about = {
        "id": repository, "modelId": repository, "sha": REVISION, "private": False, "tags": [],
        "downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in files],
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            name = path.removeprefix(f"/{repository}/resolve/{REVISION}/")
            if name in files:
                self.answer(files[name], ETag=f'"{sha(files[name])}"')
            elif path.startswith(f"/api/models/{repository}/tree/"):
                self.answer(json.dumps(listed).encode())
            elif path.startswith(f"/api/models/{repository}"):
                self.answer(json.dumps(about).encode())
            else:
                self.answer(b"", status=404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", REVISION)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sha(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
