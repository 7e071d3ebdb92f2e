"""Files through which the processes of a machine share a collection in memory.

A process that has loaded a collection writes what its vector backend makes of it to a file, and
maps the file into its memory. So do the other processes, which then need not load anything. The
system keeps one copy of the pages for all of them. Changes after the file was written are applied
by each process to its own copy of the pages they touch.

A file is a cache. It names its collection and the state that it holds: the revision, the number of
documents and the XOR of their ids. A document never changes, so these tell whether the contents
are right, and `catching_up` compares them. A file is complete before it gets its name, and is
never changed afterwards. It is deleted while others map it, who keep its contents until they end
or map another file.

Files hold what the index tables hold. So only this user may read them, and a file of another user
is never read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import mmap
import os
import stat
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from django.db import connections

from ..backends.base import VectorBackend
from ..contract.snapshots import Snapshot, SnapshotPart
from ..contract.spec import CollectionSpec
from ..models.tables import Collection
from ..models.tenants import place

try:
    import fcntl
except ImportError:  # not POSIX: each process has its own memory
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileId", "SnapshotFile", "State", "delete_outdated", "delete_unused", "snapshot_file"]

logger = logging.getLogger(__name__)

#: Smaller collections are loaded in milliseconds, and take little memory: vectors of 4 MB.
LEAST_BYTES = 4_000_000

#: The seconds after which a file is deleted, or replaced, if documents in it were deleted. So they
#: stay no longer in it than their embeddings stay in the index tables.
LIFE = 3600.0

#: The seconds after which a folder that could not be used is tried again.
_AFTER_FAILURE = 600.0

#: How often a process that waits for its turn looks whether it has come, in seconds.
_LOOK_EVERY = 0.05

#: The options of Django's databases that may say which database it is, beside its settings.
#: "service" is PostgreSQL's, and "read_default_file" is MySQL's.
_NAMING_OPTIONS = ("service", "host", "port", "dbname", "database", "db", "read_default_file")

#: How file systems say that they cannot reserve room. Those in memory can.
_CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)

_MAGIC = b"wagtail-vector-index snapshot 1\n"
_HEADER_SIZE = len(_MAGIC) + 18
_LONGEST_HEADER = 1_000_000

#: The device and the number of a file, which no other file has while this one exists or is mapped.
FileId: TypeAlias = "tuple[int, int]"

#: When the folders that could not be used are tried again.
_failed: dict[Path, float] = {}


@dataclass(frozen=True, kw_only=True)
class State:
    """What a file holds, and which file it is."""

    revision: int
    count: int
    #: The XOR of the ids.
    checksum: int
    file: FileId = (0, 0)
    #: When the file was written, in seconds since 1970.
    written: float = 0.0

    @property
    def is_old(self) -> bool:
        """Whether the file must not hold deleted documents any more."""
        return not 0 <= time.time() - self.written < LIFE

    def agrees_with(self, collection: Collection) -> bool:
        """Return whether this is the state of a collection's row in the index tables."""
        return (self.revision, self.count, self.checksum) == (
            collection.revision,
            collection.document_count,
            collection.document_xor.int,
        )


class SnapshotFile:
    """The file of one collection, which may not exist.

    Args:
        folder: the private folder of this user.
        collection: the collection.
    """

    def __init__(self, folder: Path, collection: Collection) -> None:
        self.collection = collection
        self._folder = folder
        self._path = folder / _place_name() / f"{collection.name}.snapshot"
        self._shape = _shape(collection)

    def exists_as(self, state: State) -> bool:
        """Return whether the file that had this state has not been replaced."""
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == state.file

    def state(self) -> State | None:
        """Return the state that the file holds, or None if there is no usable file."""
        with suppress(OSError, ValueError), self._opened() as file:
            return _state(_header(file), file)
        return None

    def restore(
        self, spec: CollectionSpec, backend: VectorBackend, *, own: FileId | None = None
    ) -> State | None:
        """Create a collection of a backend from the file, mapped into memory.

        If that fails although the file is right, another file would not help, and none is written
        for a while.

        Args:
            spec: the collection to create.
            backend: the backend.
            own: the file that this process has written. It can read its format.

        Returns:
            the state that the file holds, or None if the file is not usable.
        """
        try:
            with self._opened() as file:
                header = _header(file)
                if header["shape"] != self._shape:
                    raise ValueError("it holds a collection of another shape")
                state = _state(header, file)
                try:
                    backend.restore(spec, _contents(header, file))
                except Exception as error:  # a backend may raise anything
                    if isinstance(error, ValueError) and state.file != own:
                        raise  # it is of another release, or of other options
                    self.fail(error)
                    return None
                return state
        except (OSError, ValueError) as error:
            logger.info("%s is not used, and will be replaced: %s", self._path, error)
            return None

    @contextmanager
    def turn(self, *, wait: float) -> Iterator[bool]:
        """Let one process at a time write the file. Yields whether it is this process's turn.

        Args:
            wait: the most seconds to wait while another process writes the file.
        """
        if not self._is_usable():
            yield False
            return
        try:
            lock = _open_lock(self._path)
        except OSError as error:
            self.fail(error)
            yield False
            return
        try:
            is_my_turn = _locked(lock, wait)
        except OSError as error:  # file systems without locks
            self.fail(error)
            is_my_turn = False
        try:
            yield is_my_turn
        finally:
            _release(lock)

    def write(self, state: State, snapshot: Snapshot) -> bool:
        """Write a new file beside the present one, in this process's turn.

        Returns:
            whether it could be written. Then `publish` lets it take its place.
        """
        try:
            # What a process has left that was killed here.
            self._new_path.unlink(missing_ok=True)
            # Where the file system cannot reserve room, the C library also reads the file for that.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._new_path, flags, 0o600), "wb") as file:
                _write(file, state, self._shape, snapshot)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def publish(self) -> FileId | None:
        """Replace the file by the new one, in the same turn. Returns None if that failed."""
        try:
            descriptor = os.open(self._new_path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                # Otherwise, a power failure could leave a file whose pages are empty.
                os.fsync(descriptor)
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            self._new_path.replace(self._path)
        except OSError as error:
            self._give_up(error)
            return None
        return found.st_dev, found.st_ino

    @property
    def has_failed(self) -> bool:
        """Whether no file is written for a while, since one could not be written or read."""
        return _failed.get(self._folder, 0.0) > time.monotonic()

    @property
    def _new_path(self) -> Path:
        return self._path.with_suffix(".new")

    def _give_up(self, error: OSError) -> None:
        with suppress(OSError):
            self._new_path.unlink(missing_ok=True)
        self.fail(error)

    def _is_usable(self) -> bool:
        """Return whether files can be written, as far as is known; create the folders."""
        if self.has_failed:
            return False
        try:
            for folder in (self._folder, self._path.parent):
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
                _check_private(folder.lstat(), folder)
        except OSError as error:
            self.fail(error)
            return False
        return True

    def fail(self, error: Exception) -> None:
        """Log why processes cannot share a file, and write none for a while."""
        known = self._folder in _failed
        _failed[self._folder] = time.monotonic() + _AFTER_FAILURE
        logger.log(
            logging.INFO if known else logging.WARNING,
            "Processes cannot share collections in %s, so each loads its own copy: %s."
            " SNAPSHOT_FOLDER of the vector backend names another folder, or None for none.",
            self._folder,
            error,
        )

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        for folder in (self._folder, self._path.parent):
            _check_private(folder.lstat(), folder)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags), "rb") as file:
            _check_private(os.fstat(file.fileno()), self._path)
            yield file


def snapshot_file(
    collection: Collection, backend: VectorBackend, *, least_bytes: int | None = None
) -> SnapshotFile | None:
    """Return the file of a collection, or None if processes cannot share it, or need not.

    Args:
        collection: the collection.
        backend: the backend that serves it.
        least_bytes: the bytes of vectors from which a file is worth it, by default `LEAST_BYTES`.
    """
    least = LEAST_BYTES if least_bytes is None else least_bytes
    folder = _private_folder(backend)
    if folder is None or 4 * collection.document_count * collection.dimensions < least:
        return None
    return SnapshotFile(folder, collection)


def delete_outdated(backend: VectorBackend, *, at_once: bool = False) -> list[str]:
    """Delete this database's files on this machine that hold what is no longer in its tables.

    Args:
        backend: the backend whose folder is meant.
        at_once: whether to delete files that are not an hour old, too.

    Returns:
        what could not be deleted, and why.
    """
    folder = _private_folder(backend)
    if folder is None:
        return []
    live = Collection.objects.filter(state__in=(Collection.State.BUILDING, Collection.State.ACTIVE))
    files = {each.name: SnapshotFile(folder, each) for each in live}

    def is_outdated(path: Path) -> bool:
        file = files.get(path.stem)
        return file is None or (path.suffix == ".snapshot" and _is_outdated(file, at_once=at_once))

    return _delete(folder, is_outdated)


def delete_unused(backends: Iterable[VectorBackend]) -> list[str]:
    """Delete this database's files in the system's temporary folder if no backend uses it now.

    Args:
        backends: all backends of the site.

    Returns:
        what could not be deleted, and why.
    """
    try:
        folder = _own_folder(Path(tempfile.gettempdir()))
    except FileNotFoundError:  # no folder is writable
        return []
    if folder is None or folder in map(_private_folder, backends):
        return []
    return _delete(folder, lambda path: True)


def _delete(folder: Path, is_outdated: Callable[[Path], bool]) -> list[str]:
    own = folder / _place_name()
    try:
        # Otherwise, another user could lead this one to any folder by a link.
        _check_private(folder.lstat(), folder)
        _check_private(own.lstat(), own)
    except OSError:
        return []
    problems = []
    for path in sorted(own.glob("*.*")):
        try:
            if is_outdated(path):
                path.unlink(missing_ok=True)
            elif path.suffix == ".new":
                _delete_unfinished(path)
        except OSError as error:
            problems.append(f"{path} could not be deleted: {error}")
    return problems


def _is_outdated(file: SnapshotFile, *, at_once: bool) -> bool:
    state = file.state()
    if state is None:
        return True
    collection = file.collection
    if (state.count, state.checksum) == (collection.document_count, collection.document_xor.int):
        return False
    return at_once or state.is_old


def _delete_unfinished(path: Path) -> None:
    """Delete what a process that was killed has left, unless a file is being written now."""
    lock = _open_lock(path)
    try:
        if _locked(lock, 0):
            path.unlink(missing_ok=True)
    finally:
        _release(lock)


def _private_folder(backend: VectorBackend) -> Path | None:
    folder = backend.snapshot_folder
    return None if folder is None or backend.persistent else _own_folder(folder)


def _own_folder(folder: Path) -> Path | None:
    if fcntl is None or not _place_name():
        return None
    return folder / f"wagtail-vector-index-{os.geteuid()}"


def _place_name() -> str:
    """Return the name of the folder of a database and schema; "" if only this process has it."""
    alias, schema = place()
    connection: Any = connections[alias]
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        if connection.is_in_memory_db():
            return ""
        database: list[Any] = [str(Path(settings["NAME"]).resolve())]
    else:
        database = [str(settings.get(name, "")) for name in ("HOST", "PORT", "NAME")]
        options = settings.get("OPTIONS", {})
        database += [str(options.get(name, "")) for name in _NAMING_OPTIONS]
    identity = json.dumps([connection.vendor, *database, schema])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _shape(collection: Collection) -> dict[str, Any]:
    return {
        "collection": collection.name,
        "dimensions": collection.dimensions,
        "metric": collection.metric,
        "fields": dict(collection.fields),
    }


def _check_private(found: os.stat_result, path: Path) -> None:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise PermissionError(f"{path} is neither a file nor a folder")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to another user")
    if found.st_mode & 0o077:
        raise PermissionError(f"other users have permissions for {path}")


def _open_lock(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path.with_suffix(".lock"), flags, 0o600)


def _locked(descriptor: int, wait: float) -> bool:
    end = time.monotonic() + wait
    while True:
        try:
            # The system releases the lock if the process is killed. Unlike lockf(), it also keeps
            # threads of this process apart.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_EVERY)
        else:
            return True


def _release(descriptor: int) -> None:
    # Not only closed: a process that was forked meanwhile has the file open, too.
    with suppress(OSError):  # file systems without locks
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _write(file: BinaryIO, state: State, shape: Mapping[str, Any], snapshot: Snapshot) -> None:
    """Write a header, and each part at the beginning of a page of memory."""
    parts, offset = {}, _LONGEST_HEADER
    for name, part in snapshot.parts.items():
        size = sum(memoryview(each).nbytes for each in part.data)
        offset = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        parts[name] = [offset, max(size, part.room)]
        file.seek(offset)
        file.writelines(part.data)
        offset += max(size, part.room)
    # What was skipped reads as zero. Its room is reserved: a process that writes to its own copy of
    # a page would otherwise be killed if the file system is one in memory that is full by then.
    file.truncate(offset)
    _reserve(file, offset)
    header = json.dumps(
        {
            "shape": shape,
            "revision": state.revision,
            "count": state.count,
            "checksum": f"{state.checksum:032x}",
            "format": snapshot.format,
            "size": offset,
            "parts": parts,
        }
    ).encode()
    if len(header) > _LONGEST_HEADER - _HEADER_SIZE:
        raise OSError(f"the header of {len(snapshot.parts)} parts is too long")
    file.seek(0)
    file.write(_MAGIC + b"%08x %08x\n" % (len(header), zlib.crc32(header)) + header)


def _reserve(file: BinaryIO, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):  # macOS lacks it
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise


def _header(file: BinaryIO) -> dict[str, Any]:
    """Return the header of a file, and check it and the file's size.

    Raises:
        ValueError: the file is damaged, or no snapshot.
    """
    begin = file.read(_HEADER_SIZE)
    if not begin.startswith(_MAGIC) or len(begin) < _HEADER_SIZE:
        raise ValueError("it is no snapshot of this release")
    length, checksum = (int(word, 16) for word in begin[len(_MAGIC) :].split())
    text = file.read(min(length, _LONGEST_HEADER))
    if zlib.crc32(text) != checksum:
        raise ValueError("its header is damaged")
    header: dict[str, Any] = json.loads(text)
    if os.fstat(file.fileno()).st_size != header["size"]:
        raise ValueError("it is not complete")
    return header


def _state(header: Mapping[str, Any], file: BinaryIO) -> State:
    found = os.fstat(file.fileno())
    return State(
        revision=header["revision"],
        count=header["count"],
        checksum=int(header["checksum"], 16),
        file=(found.st_dev, found.st_ino),
        written=found.st_mtime,
    )


def _contents(header: Mapping[str, Any], file: BinaryIO) -> Snapshot:
    # Writing to this memory copies the page first. The file never changes.
    whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    parts = {
        name: SnapshotPart(data=[whole[offset : offset + size]])
        for name, (offset, size) in header["parts"].items()
    }
    return Snapshot(format=header["format"], parts=parts)
