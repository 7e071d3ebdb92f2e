"""A graph in a file, so that the next process need not build it.

The file is a cache. It holds no record, only which id and which vector each key of the graph
stood for; what of it is true is for the collection to say. A file that is torn, of another
version or made for something else is not used, and the log says why.

It is written beside its place and then moved there: who reads it has all of one file, and of
two processes that write, the last wins.
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
    """What is in a graph: each key, with the id and the checksum of the vector it stands for."""

    keys: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint8]
    checksums: npt.NDArray[np.uint64]

    def each_id(self) -> Iterator[bytes]:
        """The ids, one after the other."""
        data = self.ids.tobytes()
        return (data[start : start + 16] for start in range(0, len(data), 16))


class _UnusableError(Exception):
    """Why a file is not used."""


def write(path: Path, graph: Graph, linked: Linked) -> None:
    """Write a graph, in place of what the file held.

    Where that fails, the log says why, and all goes on: the graph is in memory.
    """
    parts: list[Any] = [linked.keys, linked.ids, linked.checksums, graph.index.save()]
    header = {**_header(graph.shape), "count": len(linked.keys), "size": len(graph.index)}
    header["digest"] = _digest(header, parts)
    try:
        _write(path, [_MAGIC, json.dumps(header).encode() + b"\n", *parts])
    except OSError as error:
        _log.warning("%s: the snapshot cannot be written: %s", path, error)
    else:
        _log.info("%s: the snapshot has been written, %d vectors.", path, len(linked.keys))


def read(path: Path, shape: Shape) -> tuple[Graph, Linked] | None:
    """The graph that a file holds, whose keys stand for no row yet; None if it is no use."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data, shape)
    except FileNotFoundError:
        _log.info("%s: there is no snapshot yet.", path)
    except (OSError, ValueError, RuntimeError, _UnusableError) as error:
        _log.warning("%s: the snapshot is not used: %s", path, error)
    return None


def _header(shape: Shape) -> dict[str, Any]:
    """What must be the same in who writes and who reads."""
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
        raise _UnusableError("it is not of this version, or no snapshot at all.")
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
            raise _UnusableError("it is torn, or has been changed.")
        graph = Graph(shape)
        linked = _load(body, header["count"], graph)
    if len(graph.index) != header["size"]:
        raise _UnusableError(f"its graph has {len(graph.index)} keys, not {header['size']}.")
    return graph, linked


def _load(body: memoryview, count: int, graph: Graph) -> Linked:
    linked = Linked(
        # Copies: the file is closed in the end.
        keys=np.frombuffer(body, np.int64, count).copy(),
        ids=np.frombuffer(body, np.uint8, 16 * count, 8 * count).reshape(-1, 16).copy(),
        checksums=np.frombuffer(body, np.uint64, count, 24 * count).copy(),
    )
    with body[32 * count :] as index:
        graph.index.load(index)
    return linked
