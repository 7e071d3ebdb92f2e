"""Backends that keep their records in a file, some of them broken, for a command to name."""

import pickle
from dataclasses import dataclass
from pathlib import Path

from django.core.checks import Error

from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.testing import OracleBackend


class FileBackend(OracleBackend):
    """An oracle that reads a file before, and writes it after, everything that it does."""

    @dataclass(frozen=True, kw_only=True)
    class Options(OracleBackend.Options):
        path: str
        api_key: str = ""

    persistent = True

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.path = Path(options.path)

    def load(self):
        if self.path.exists():
            self.stored = pickle.loads(self.path.read_bytes())

    def save(self):
        self.path.write_bytes(pickle.dumps(self.stored))

    def _records(self, spec):
        with self.lock:
            self.load()
            return super()._records(spec)

    def _collections(self):
        with self.lock:
            self.load()
            return super()._collections()

    def _create(self, spec):
        with self.lock:
            self.load()
            super()._create(spec)
            self.save()

    def _drop(self, spec):
        with self.lock:
            self.load()
            super()._drop(spec)
            self.save()

    def _upsert(self, spec, batch):
        with self.lock:
            self.load()
            super()._upsert(spec, batch)
            self.save()

    def _delete(self, spec, ids):
        with self.lock:
            self.load()
            super()._delete(spec, ids)
            self.save()


class Telling(FileBackend):
    """Its errors show the key."""

    def _count(self, spec, filter):
        print(f"asking with {self.options.api_key}")
        raise RuntimeError(f"refused: the key {self.options.api_key} is wrong")


class DropsLate(FileBackend):
    """A drop fails once for each collection."""

    tried = set()

    def _drop(self, spec):
        if spec.name not in self.tried:
            self.tried.add(spec.name)
            raise RuntimeError("the server is busy")
        super()._drop(spec)


class DropsNever(FileBackend):
    """A drop does nothing."""

    def _drop(self, spec):
        raise RuntimeError(f"the key {self.options.api_key} may not drop")


class Away(FileBackend):
    """A server that is not there."""

    def health(self):
        raise BackendUnavailable(f"no answer to {self.options.api_key}")


class Misconfigured(FileBackend):
    """It can tell, without a network, that it will not work."""

    def check(self):
        return [Error("This cannot work.", hint="Set PATH to a file.", id="stores.E001")]


class CosineOnly(FileBackend):
    """Declares one metric."""

    metrics = frozenset({"cosine"})


NOT_A_BACKEND = 7
