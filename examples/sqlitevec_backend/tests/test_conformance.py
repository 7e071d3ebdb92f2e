from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from sqlitevec_wagtail_vectors.backend import SqliteVecBackend

from wagtail_vector_index.testing import VectorBackendConformance


def _do_not_wait_for_the_disk(db: apsw.Connection) -> None:
    db.set_busy_timeout(30_000)
    db.pragma("synchronous", "off")


class TestSqliteVec(VectorBackendConformance):
    """All that must hold for every vector backend."""

    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "vectors.sqlite3"
        # No test here survives a loss of power.
        apsw.connection_hooks.append(_do_not_wait_for_the_disk)
        yield
        apsw.connection_hooks.remove(_do_not_wait_for_the_disk)

    def make_backend(self) -> SqliteVecBackend:
        return SqliteVecBackend("default", SqliteVecBackend.Options(path=str(self.path)))

    def unreachable(self) -> SqliteVecBackend:
        nowhere = str(self.path.parent / "none" / "vectors.sqlite3")
        return SqliteVecBackend("default", SqliteVecBackend.Options(path=nowhere))
