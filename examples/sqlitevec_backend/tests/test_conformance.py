from __future__ import annotations

from pathlib import Path

import pytest
from sqlitevec_wagtail_vectors.backend import SqliteVecBackend

from wagtail_vector_index.testing import VectorBackendConformance


class TestSqliteVec(VectorBackendConformance):
    """All that must hold for every vector backend."""

    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path) -> None:
        self.path = tmp_path / "vectors.sqlite3"

    def make_backend(self) -> SqliteVecBackend:
        return SqliteVecBackend("default", SqliteVecBackend.Options(path=str(self.path)))

    def unreachable(self) -> SqliteVecBackend:
        nowhere = str(self.path.parent / "none" / "vectors.sqlite3")
        return SqliteVecBackend("default", SqliteVecBackend.Options(path=nowhere))
