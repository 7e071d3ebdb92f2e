"""The conformance suite in local mode, on the double, and on a server if one is available."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest

from plugins.qdrant_backend.tests.double import Double, Running
from plugins.qdrant_backend.tests.servers import Server
from tests.servers import free_port
from wagtail_vector_index.backends.base import CollectionSpec, VectorBackend
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.testing import VectorBackendConformance
from wagtail_vector_index.testing.async_errors import AsyncErrorTests
from wagtail_vector_index.testing.asynchronous import AsyncTests
from wagtail_vector_index.testing.concurrency import ConcurrencyTests
from wagtail_vector_index.testing.deleting import DeletingTests
from wagtail_vector_index.testing.failures import FailureTests
from wagtail_vector_index.testing.filter_datetimes import DatetimeFilterTests
from wagtail_vector_index.testing.filter_lists import ListFilterTests
from wagtail_vector_index.testing.filter_scalars import ScalarFilterTests
from wagtail_vector_index.testing.filter_sizes import FilterSizeTests
from wagtail_vector_index.testing.filter_texts import TextFilterTests
from wagtail_vector_index.testing.filter_trees import FilterTreeTests
from wagtail_vector_index.testing.filter_unicode import UnicodeTests
from wagtail_vector_index.testing.filter_values import ValueFilterTests
from wagtail_vector_index.testing.lifecycle import LifecycleTests
from wagtail_vector_index.testing.magnitudes import MagnitudeTests
from wagtail_vector_index.testing.metadata import MetadataTests
from wagtail_vector_index.testing.ordering import OrderTests
from wagtail_vector_index.testing.processes import ProcessTests
from wagtail_vector_index.testing.ranking import RankingTests
from wagtail_vector_index.testing.reading import ReadingTests
from wagtail_vector_index.testing.scoring import ScoringTests
from wagtail_vector_index.testing.sizes import SizeTests
from wagtail_vector_index.testing.writing import WritingTests

#: The client's local mode, in which the double answers too, compares one record after another.
#: A thorough run is for a real server.
AT_MOST, ON_DOUBLE, THOROUGH = 120, 80, False


class TestInMemory(VectorBackendConformance):
    at_most, thorough = AT_MOST, THOROUGH

    def make_backend(self) -> QdrantBackend:
        return QdrantBackend("default", QdrantBackend.Options(location=":memory:"))


class TestOnDouble(VectorBackendConformance):
    at_most, thorough = ON_DOUBLE, THOROUGH

    @pytest.fixture(autouse=True)
    def _double(self, shared_double: Running) -> None:
        self.url, self.double = shared_double.url, shared_double.double

    def make_backend(self) -> QdrantBackend:
        return QdrantBackend("default", QdrantBackend.Options(host=self.url, batch_size=7))

    @contextmanager
    def refusing(
        self, backend: VectorBackend, spec: CollectionSpec, ids: Collection[UUID]
    ) -> Iterator[None]:
        double: Double = self.double
        double.refused_ids = frozenset(ids)
        yield
        double.refused_ids = frozenset()

    def unreachable(self) -> QdrantBackend:
        host = f"http://127.0.0.1:{free_port()}"
        return QdrantBackend("default", QdrantBackend.Options(host=host, max_retries=0))


class TestOnDoubleByGrpc(
    LifecycleTests,
    WritingTests,
    DeletingTests,
    ReadingTests,
    ScoringTests,
    MagnitudeTests,
    RankingTests,
    OrderTests,
    ScalarFilterTests,
    DatetimeFilterTests,
    ValueFilterTests,
    TextFilterTests,
    UnicodeTests,
    ListFilterTests,
    FilterTreeTests,
    FilterSizeTests,
    SizeTests,
    MetadataTests,
    FailureTests,
    ConcurrencyTests,
    AsyncTests,
    AsyncErrorTests,
    ProcessTests,
):
    """The parts of the suite whose values, messages or failures are others by gRPC.

    The rest is decided before a request is sent, or by what several requests together do.
    """

    at_most, thorough = ON_DOUBLE, THOROUGH
    refusing = TestOnDouble.refusing
    unreachable = TestOnDouble.unreachable

    @pytest.fixture(autouse=True)
    def _grpc(self, shared_double: Running, shared_grpc_port: int) -> None:
        self.url, self.double = shared_double.url, shared_double.double
        self.port = shared_grpc_port

    def make_backend(self) -> QdrantBackend:
        options = QdrantBackend.Options(host=self.url, grpc=True, grpc_port=self.port)
        return QdrantBackend("default", options)

    def test_fork(self) -> None:
        pytest.skip("this process is gRPC's server as well; test_fork_by_grpc does it in another")


class TestOnServer(VectorBackendConformance):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _server(self, server: Server) -> None:
        self.server = server

    def make_backend(self) -> QdrantBackend:
        options = QdrantBackend.Options(
            host=self.server.url,
            api_key=self.server.api_key,
            grpc_port=self.server.grpc_port,
            collection_prefix="wvi_tests",
            **self.options,
        )
        return QdrantBackend("default", options)


class TestOnServerByGrpc(TestOnServer):
    options: ClassVar[dict[str, Any]] = {"grpc": True}

    def test_fork(self) -> None:
        pytest.skip("this process may be gRPC's server as well; test_fork_by_grpc does it")
