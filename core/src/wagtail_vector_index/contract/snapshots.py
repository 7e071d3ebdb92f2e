"""What a backend in the process's memory stores in a file, for the other processes of a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SnapshotPart:
    """One block of bytes of a snapshot.

    Args:
        data: buffers of bytes, which follow each other in the block. A part that was read from a
            file has a single one: a writable memoryview of the whole block. What is written there
            is seen by this process alone.
        room: the bytes that the block takes at least, so that a restored array can grow. The rest
            is zero.
    """

    data: Sequence[Any]
    room: int = 0

    @property
    def buffer(self) -> memoryview[Any]:
        """The only buffer of a part that was read from a file."""
        [buffer] = self.data
        return memoryview(buffer)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All records of a collection, as a backend stores them in a file.

    Args:
        format: a name of the format, with all that must be equal in the process that reads it,
            such as the options, and the byte order of numbers.
        parts: the blocks, by name.
    """

    format: str
    parts: Mapping[str, SnapshotPart]
