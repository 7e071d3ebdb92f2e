from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.weaviate import WeaviateBackend

sys.path.insert(0, str(Path(__file__).parent))
from weaviate_servers import Double, Server, double, real_server, real_server_found


def pytest_report_header() -> str:
    found = real_server_found() or "no real server (no WEAVIATE_URL, program or container engine)"
    return f"Weaviate backend: its tests run on the double, and on: {found}"


@pytest.fixture(scope="session")
def running_double() -> Iterator[Double]:
    with double() as server:
        yield server


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    if not real_server_found():
        pytest.skip("no real Weaviate: no WEAVIATE_URL, no program on the PATH, no containers")
    with real_server() as server:
        yield server


@pytest.fixture
def server(running_double: Double, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """The double, as if new."""
    from weaviate.connect import v4

    from wagtail_vector_index.backends.weaviate import protocol  # noqa: F401  # quiet imports

    running_double.fail()
    running_double.configure()
    running_double.forget()
    # No test asks a package index whether the client is the newest.
    monkeypatch.setattr(v4, "PYPI_PACKAGE_URL", running_double.index_url)
    yield running_double
    running_double.fail()


@pytest.fixture(params=["double", "real"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options for one server after the other: the double, and a real one."""
    name = "server" if request.param == "double" else "running_server"
    found: dict[str, Any] = request.getfixturevalue(name).options
    return found


@pytest.fixture
def make_backend(server: Double) -> Iterator[Callable[..., WeaviateBackend]]:
    """Backends of the double, closed after the test."""
    made: list[WeaviateBackend] = []

    def make(**options: Any) -> WeaviateBackend:
        given = WeaviateBackend.Options(**(server.options | options))
        made.append(WeaviateBackend("default", given))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def backend(make_backend: Callable[..., WeaviateBackend]) -> WeaviateBackend:
    return make_backend()


@pytest.fixture
def make(backend: WeaviateBackend) -> Callable[..., CollectionSpec]:
    """Makes collections under new names."""

    def make(**shape: Any) -> CollectionSpec:
        spec = CollectionSpec(name=f"t{uuid.uuid4().hex[:16]}", **({"dimensions": 4} | shape))
        backend.create(spec)
        return spec

    return make
