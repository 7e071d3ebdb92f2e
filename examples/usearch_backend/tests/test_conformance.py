from __future__ import annotations

from pathlib import Path

import pytest
from wagtail_vector_index.testing import VectorBackendConformance

from usearch_wagtail_vectors.backend import UsearchBackend


class TestUsearchBackend(VectorBackendConformance):
    """All that must hold for every vector backend."""

    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path) -> None:
        self.path = tmp_path / "vectors.sqlite3"

    def make_backend(self) -> UsearchBackend:
        options = UsearchBackend.Options(path=str(self.path))
        return UsearchBackend("default", options)
