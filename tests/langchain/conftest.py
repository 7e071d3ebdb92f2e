"""The backends that LangChain's tests run against, and what they say of each."""

from __future__ import annotations

import pytest

from plugins.pgvector_backend.tests.conftest import alias, database, server
from plugins.qdrant_backend.tests.double import running_double
from plugins.weaviate_backend.tests.weaviate_servers import double as weaviate_double
from tests.postgres import postgres

__all__ = ["alias", "database", "postgres", "server"]


@pytest.fixture(scope="session", autouse=True)
def environment():
    """No proxy of the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("no_proxy", "*")
        yield patch


@pytest.fixture(scope="session")
def qdrant_double():
    with running_double() as running:
        yield running


@pytest.fixture(scope="session")
def weaviate_server(environment):
    from weaviate.connect import v4

    from wagtail_vector_index.backends.weaviate import protocol  # noqa: F401  # quiet imports

    with weaviate_double() as server:
        # No test asks a package index whether the client is the newest.
        environment.setattr(v4, "PYPI_PACKAGE_URL", server.index_url)
        yield server
