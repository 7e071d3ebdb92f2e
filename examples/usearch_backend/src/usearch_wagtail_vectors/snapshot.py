"""Stores a graph in a file, so that the next process need not build it.

The file is a cache. It holds no records, only the id of each key in the graph and a checksum of
its vector. The collection checks which of these are still true. A file that is damaged, of
another version or for another shape is not used, and the log gives the reason.

A new file is written under a temporary name in the same folder and then renamed. So a reader
always gets a complete file. If two processes write, the last one wins.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import usearch

from .graph import KINDS, Graph, Shape

_log = logging.getLogger(__name__)

_MAGIC = b"usearch-wagtail-vectors snapshot 1\n"
_LONGEST_HEADER = 4_096


@dataclass(frozen=True)
class Linked:
    """The keys of a graph, each with the id and the checksum of its vector."""

    keys: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint8]
    checksums: npt.NDArray[np.uint64]

    def each_id(self) -> Iterator[bytes]:
        """Return an iterator over the ids."""
        data = self.ids.tobytes()
        return (data[start : start + 16] for start in range(0, len(data), 16))


class _UnusableError(Exception):
    """A file cannot be used. The message says why."""


def write(path: Path, graph: Graph, linked: Linked) -> None:
    """Write a graph to a file, replacing the file.

    If that fails, a warning is logged and nothing else happens, because the graph is in memory.
    """
    parts: list[Any] = [linked.keys, linked.ids, linked.checksums, graph.index.save()]
    header = {**_header(graph.shape), "count": len(linked.keys), "size": len(graph.index)}
    header["digest"] = _digest(header, parts)
    try:
        _write(path, [_MAGIC, json.dumps(header).encode() + b"\n", *parts])
    except OSError as error:
        _log.warning("%s: the snapshot cannot be written: %s", path, error)
    else:
        _log.info("%s: wrote the snapshot with %d vectors.", path, len(linked.keys))


def read(path: Path, shape: Shape) -> tuple[Graph, Linked] | None:
    """Return the graph in a file, with no key assigned to a row, or None if it is unusable."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data, shape)
    except FileNotFoundError:
        _log.info("%s: there is no snapshot yet.", path)
    except (OSError, ValueError, RuntimeError, _UnusableError) as error:
        _log.warning("%s: the snapshot is not used: %s", path, error)
    return None


def _header(shape: Shape) -> dict[str, Any]:
    """Return the part of the header that must be equal when a file is written and read."""
    return {
        "usearch": usearch.__version__,
        "byteorder": sys.byteorder,
        "kind": list(KINDS[shape.metric]),
        **asdict(shape),
    }


def _digest(header: dict[str, Any], parts: list[Any]) -> str:
    digest = hashlib.blake2b(json.dumps(header).encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _write(path: Path, parts: list[Any]) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            for part in parts:
                file.write(part)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(data: mmap.mmap, shape: Shape) -> tuple[Graph, Linked]:
    if data[: len(_MAGIC)] != _MAGIC:
        raise _UnusableError("it is a snapshot of another version, or no snapshot.")
    end = data.find(b"\n", len(_MAGIC), len(_MAGIC) + _LONGEST_HEADER)
    header = json.loads(data[len(_MAGIC) : end])
    if not isinstance(header, dict):
        raise _UnusableError("it has no header.")
    for name, value in _header(shape).items():
        if header.get(name) != value:
            raise _UnusableError(f"its {name} is {header.get(name)!r}, not {value!r}.")
    digest = header.pop("digest", None)
    with memoryview(data) as whole, whole[end + 1 :] as body:
        if _digest(header, [body]) != digest:
            raise _UnusableError("it is damaged or was changed.")
        graph = Graph(shape)
        linked = _load(body, header["count"], graph)
    if len(graph.index) != header["size"]:
        raise _UnusableError(f"its graph has {len(graph.index)} keys, not {header['size']}.")
    return graph, linked


def _load(body: memoryview, count: int, graph: Graph) -> Linked:
    linked = Linked(
        # Copies, because the file is closed at the end.
        keys=np.frombuffer(body, np.int64, count).copy(),
        ids=np.frombuffer(body, np.uint8, 16 * count, 8 * count).reshape(-1, 16).copy(),
        checksums=np.frombuffer(body, np.uint64, count, 24 * count).copy(),
    )
    with body[32 * count :] as index:
        graph.index.load(index)
    return linked
