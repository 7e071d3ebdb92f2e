from __future__ import annotations

import pytest
from usearch_wagtail_vectors.backend import UsearchBackend

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.testing import VectorBackendConformance


class TestUsearch(VectorBackendConformance):
    """All that must hold for every vector backend."""

    def make_backend(self) -> UsearchBackend:
        return UsearchBackend("default", UsearchBackend.Options())


class LinksAtOnce(UsearchBackend):
    """Has a graph of everything at any time."""

    def _upsert(self, spec: CollectionSpec, batch: RecordBatch) -> None:
        super()._upsert(spec, batch)
        self._optimize(spec)


@pytest.mark.usefixtures("prefer_graph")
class TestUsearchByGraph(VectorBackendConformance):
    """The same, with a graph for a handful of records.

    It is of many links: the suite misses any record that is left out.
    """

    thorough, at_most = False, 1_000

    def make_backend(self) -> UsearchBackend:
        options = LinksAtOnce.Options(
            graph_from=1, connectivity=64, expansion_add=512, expansion_search=512
        )
        return LinksAtOnce("default", options)
