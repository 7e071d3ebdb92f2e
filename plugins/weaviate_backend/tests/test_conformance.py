from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest
from weaviate_servers import Double, Server, real_server_found

from tests.servers import free_port
from wagtail_vector_index.backends.base import CollectionSpec, VectorBackend
from wagtail_vector_index.backends.weaviate import WeaviateBackend, operations
from wagtail_vector_index.testing import VectorBackendConformance


class TestOnTheDouble(VectorBackendConformance):
    # The double compares one record after another, and a thorough run is for a real server.
    at_most, thorough = 250, False

    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _server(self, server: Double, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        monkeypatch.setattr(operations, "MOST_IDS", 100)

    def make_backend(self) -> WeaviateBackend:
        options = self.server.options | self.options
        return WeaviateBackend("default", WeaviateBackend.Options(**options))

    @contextmanager
    def refusing(
        self, backend: VectorBackend, spec: CollectionSpec, ids: Collection[UUID]
    ) -> Iterator[None]:
        self.server.fail(
            {"kind": "partial", "on": "BatchObjects", "times": -1, "ids": list(map(str, ids))}
        )
        yield
        self.server.fail()

    def unreachable(self) -> WeaviateBackend:
        nobody = {"host": f"http://127.0.0.1:{free_port()}", "grpc_port": free_port()}
        options = self.server.options | nobody | {"timeout": 2.0, "max_retries": 0}
        return WeaviateBackend("default", WeaviateBackend.Options(**options))


if real_server_found():

    class TestOnTheRealServer(VectorBackendConformance):
        @pytest.fixture(autouse=True)
        def _server(self, running_server: Server) -> None:
            self.options = running_server.options

        def make_backend(self) -> WeaviateBackend:
            return WeaviateBackend("default", WeaviateBackend.Options(**self.options))

else:

    @pytest.mark.skip(reason="the suite on a real server: none is there")
    def test_on_the_real_server() -> None:
        """Stands in the report for the whole suite."""
