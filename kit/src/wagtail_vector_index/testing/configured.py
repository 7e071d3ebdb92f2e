"""The tests that ``python -m wagtail_vector_index.testing`` runs."""

from __future__ import annotations

from typing import Any

import pytest

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, Metric

from .conformance import VectorBackendConformance
from .running import Run

__all__ = ["TestBackend"]


class TestBackend(VectorBackendConformance):
    """The suite, for the backend of the command line."""

    @pytest.fixture(autouse=True)
    def _run(self, pytestconfig: pytest.Config) -> None:
        self.run = pytestconfig.stash[Run.key]
        self.thorough = self.thorough or self.run.thorough

    def make_backend(self) -> VectorBackend:
        return self.run.make_backend()

    def spec(self, metric: Metric | None = None, **shape: Any) -> CollectionSpec:
        """Return the spec of a collection. The end of the run drops it if the test did not."""
        spec = super().spec(metric, **shape)
        self.run.specs[spec.name] = spec
        return spec
