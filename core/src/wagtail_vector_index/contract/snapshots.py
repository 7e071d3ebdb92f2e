"""What a backend in the process's memory stores in a file, for the other processes of a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .spec import CollectionSpec
from .store import Store

__all__ = ["Snapshot", "SnapshotPart", "SnapshotStore"]


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


class SnapshotStore(Store):
    """The part of `VectorBackend` for backends in the process's memory.

    They may write `snapshot_folder`, `_snapshot` and `_restore`.
    """

    @property
    def snapshot_folder(self) -> Path | None:
        """The folder in which the processes of a machine share collections; None for none.

        Core writes what `_snapshot` returns to a file there, and maps the file into the memory of
        each process, so that all share its pages. Core also protects, replaces and deletes files.
        """
        return None

    def _snapshot(self, spec: CollectionSpec) -> Snapshot:
        """Return all records of a collection. Meanwhile, there may be searches, but no writes."""
        raise NotImplementedError(f"{self!r} has a snapshot_folder, but no _snapshot().")

    def _restore(self, spec: CollectionSpec, snapshot: Snapshot) -> None:
        """Create a collection from a file with what `_snapshot` returned, without copying it.

        Raises:
            ValueError: the format is another one, or the parts do not fit together.
        """
        raise NotImplementedError(f"{self!r} has a snapshot_folder, but no _restore().")

    def snapshot(self, spec: CollectionSpec) -> Snapshot:
        """Return all records of a collection in the form of a file, if `snapshot_folder` is set."""
        return self._snapshot(spec)

    def restore(self, spec: CollectionSpec, snapshot: Snapshot) -> None:
        """Create a collection from a snapshot.

        Raises:
            ValueError: the snapshot has another format, or is damaged.
        """
        self._check_spec(spec)
        self._restore(spec, snapshot)
