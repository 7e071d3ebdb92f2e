"""Connections to a file, of which no two threads use one at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar

from .clients import Closable
from .forks import abandon_in_children, keep_for_ever

__all__ = ["FileConnections"]

ConnectionT = TypeVar("ConnectionT", bound=Closable)

_File: TypeAlias = tuple[int, int] | None


class FileConnections(Generic[ConnectionT]):
    """Lends each connection to one thread at a time, and keeps it for the next one.

    There are as many connections as threads ever used at once. A child process makes its own, and
    leaves its parent's alone. If another file has taken the place of the one that was
    opened, it is opened too: otherwise a process would read a file that is no longer there.

    An engine may insist that a connection stays in its thread. Tell it otherwise, for instance by
    ``sqlite3.connect(…, check_same_thread=False)``.

    Args:
        path: the file of the database.
        connect: opens the file, or creates it.

    Example::

        connections = FileConnections(path, lambda: acme.connect(path))
        with connections.lent() as connection:
            connection.execute(…)
    """

    def __init__(self, path: str, connect: Callable[[], ConnectionT]) -> None:
        self._path = path
        self._connect = connect
        self._begin()
        abandon_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[_File, ConnectionT]] = []

    @contextmanager
    def lent(self) -> Iterator[ConnectionT]:
        """Lend a connection for a block. It is closed if the block fails, whatever it had begun."""
        idle, file = self._idle, self._file()
        connection = self._kept(file) or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            # Meanwhile, another thread may have closed all that were idle, and this one too.
            is_open = idle is self._idle
            if is_open:
                idle.append((file or self._file(), connection))
        if not is_open:
            connection.close()

    def close(self) -> None:
        """Close all connections: those that are lent, when they are given back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def abandon(self) -> None:
        """Forget the parent's connections in a child process, without closing them."""
        keep_for_ever(self._idle)
        self._begin()

    def _kept(self, file: _File) -> ConnectionT | None:
        """Return a connection to this file that no thread uses; close those to other files."""
        with self._lock:
            others = [each for each in self._idle if each[0] != file]
            if others:
                self._idle[:] = [each for each in self._idle if each[0] == file]
            found = self._idle.pop()[1] if self._idle else None
        for _, connection in others:
            connection.close()
        return found

    def _file(self) -> _File:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # called for each block
        except OSError:
            return None
        return found.st_dev, found.st_ino
