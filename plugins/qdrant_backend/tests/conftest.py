from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plugins.qdrant_backend.tests import servers
from plugins.qdrant_backend.tests.double import Double, Running, running_double
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.contract.options import parse_options

KEY = "key-0123456789abcdef"

MakeBackend = Callable[..., QdrantBackend]


def pytest_report_header() -> str:
    return f"qdrant: {servers.described()}"


@pytest.fixture(scope="session", autouse=True)
def shared_schemas() -> Iterator[None]:
    """Let all clients share what they know of the models' schemas.

    Each copies it otherwise, which takes most of the time of a test in many event loops.
    """
    from qdrant_client.embed import schema_parser

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema_parser, "deepcopy", lambda schemas: schemas)
        yield


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the developer's own, and no long waits."""
    from wagtail_vector_index.backends.qdrant import operations
    from wagtail_vector_index.contract.services import retrying

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(operations, "FIRST_LOOK", 0.001)


@pytest.fixture
def running() -> Iterator[Running]:
    with running_double() as running:
        yield running


@pytest.fixture(scope="session")
def shared_double() -> Iterator[Running]:
    """One for many tests, none of which makes it fail for long."""
    with running_double() as running:
        yield running


@pytest.fixture(scope="session")
def shared_grpc_port(shared_double: Running) -> Iterator[int]:
    """Where the shared double speaks gRPC."""
    from plugins.qdrant_backend.tests.grpc_double import grpc_door

    with grpc_door(shared_double.double) as port:
        yield port


@pytest.fixture
def double(running: Running) -> Double:
    return running.double


@pytest.fixture
def make_backend(running: Running) -> Iterator[MakeBackend]:
    """Makes a backend of the double as the handler does, from what stands in the settings."""
    made: list[QdrantBackend] = []

    def make(**settings: Any) -> QdrantBackend:
        given = {"HOST": running.url, "TIMEOUT": 5, **settings}
        options = parse_options(QdrantBackend.Options, given, "SETTING['default']")
        made.append(QdrantBackend("default", options))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture
def backend(make_backend: MakeBackend) -> QdrantBackend:
    return make_backend()


@pytest.fixture(scope="session")
def server() -> Iterator[servers.Server]:
    if not servers.found():
        pytest.skip("no Qdrant server: see the report's header")
    with servers.running() as server:
        yield server
