"""The options of the settings are checked, and reach the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import CheckMessage
from weaviate_servers import Double

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.backends.weaviate.endpoints import Endpoints
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.exceptions import InvalidOptions, WriteFailed
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(
    name="some",
    dimensions=4,
    metric="euclidean",
    fields={
        "text": "str", "number": "float", "whole": "int", "yes": "bool", "when": "datetime",
        "tags": "list[str]", "ids": "list[int]", "id": "str", "vector": "int",
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "http", "grpc", "secure"),
    [
        ({"host": "http://localhost:8080"}, "http://localhost:8080", "localhost:50051", False),
        ({"host": "http://vectors"}, "http://vectors:80", "vectors:50051", False),
        ({"host": "https://vectors.org/"}, "https://vectors.org:443", "vectors.org:50051", True),
        (
            {"host": "abc.c0.europe.weaviate.cloud"},
            "https://abc.c0.europe.weaviate.cloud:443",
            "grpc-abc.c0.europe.weaviate.cloud:443",
            True,
        ),
        (
            {"host": "https://abc.weaviate.network"},
            "https://abc.weaviate.network:443",
            "abc.grpc.weaviate.network:443",
            True,
        ),
        ({"host": "http://[::1]:8080"}, "http://[::1]:8080", "[::1]:50051", False),
        (
            {"host": "https://v.org", "grpc_host": "g.org", "grpc_port": 1, "grpc_secure": False},
            "https://v.org:443",
            "g.org:1",
            False,
        ),
        ({"host": "http://v", "grpc_host": "::1"}, "http://v:80", "[::1]:50051", False),
        ({"host": "http://v", "grpc_host": "[::1]"}, "http://v:80", "[::1]:50051", False),
        ({"host": "http://v", "grpc_host": "10.0.0.1"}, "http://v:80", "10.0.0.1:50051", False),
        ({"host": "http://v", "grpc_host": "wv_1."}, "http://v:80", "wv_1.:50051", False),
    ],
)
def test_endpoints(given: dict[str, Any], http: str, grpc: str, secure: bool) -> None:
    found = Endpoints.of(**given)
    assert (found.http, found.grpc, found.grpc_secure) == (http, grpc, secure)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "'HOST' is missing"),
        ({"HOST": "localhost:8080"}, "'HOST' is a URL"),
        ({"HOST": "vectors.example.org"}, "'HOST' is a URL"),
        ({"HOST": "ftp://localhost"}, "'HOST' is a URL"),
        ({"HOST": "http://"}, "'HOST' is a URL"),
        ({"HOST": "http://localhost:port"}, "'HOST' is a URL"),
        ({"HOST": "http://localhost:8080/weaviate"}, "without a path"),
        ({"HOST": "http://me:hunter2@localhost:8080"}, "API_KEY"),
        ({"HOST": "me:hunter2@localhost:8080"}, "API_KEY"),
        ({"HOST": "http://h", "GRPC_PORT": 0}, "'GRPC_PORT' must be from 1"),
        ({"HOST": "http://h:50051"}, "gRPC needs another port or another host"),
        ({"HOST": "http://h:50051", "GRPC_HOST": "H"}, "gRPC needs another port or another host"),
        ({"HOST": "http://h", "API_KEY": "hunter2\n"}, "'API_KEY' must be ASCII"),
        ({"HOST": "http://h", "COLLECTION_PREFIX": "blog"}, "must be a capital letter"),
        ({"HOST": "http://h", "COLLECTION_PREFIX": "Blog_"}, "must be a capital letter"),
        ({"HOST": "http://h", "TIMEOUT": 0}, "'TIMEOUT' must be from"),
        ({"HOST": "http://h", "MAX_RETRIES": -1}, "'MAX_RETRIES' must be from"),
        ({"HOST": "http://h", "INDEX": "ivf"}, "'INDEX' must be one of 'hnsw', 'flat', 'dynamic'"),
        ({"HOST": "http://h", "INDEX": "flat", "QUANTIZATION": "pq"}, "none, bq, rq"),
        ({"HOST": "http://h", "CONSISTENCY": "MOST"}, "'ONE', 'QUORUM', 'ALL'"),
        ({"HOST": "http://h", "CLIENT_KEY": "key.pem"}, "must be set together"),
        ({"HOST": "http://h", "HEADERS": {"a b": "hunter2"}}, "not a valid header name"),
        ({"HOST": "http://h", "HEADERS": {"X-Site": "hunter2\n"}}, "'X-Site'"),
        ({"HOST": "http://h", "HEADERS": {"X-Site": " hunter2"}}, "'X-Site'"),
        ({"HOST": "http://h", "HEADERS": {"X-Site-Bin": "hunter2"}}, "gRPC takes for bytes"),
        ({"HOST": "http://h", "HEADERS": {"X-Site": 2}}, "'HEADERS' must be"),
        ({"HOST": "http://h", "REPLICATION": 2}, "Did you mean 'REPLICATION_FACTOR'?"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOptions) as caught:
        parse_options(WeaviateBackend.Options, given, "BACKENDS['default']")
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "http://g", "g\n", "g/", "g?", "g#", "me:hunter2@g", "g.org:443", "g:50051", "g:", "g:port",
        "[::1]:50051", "[::1", "::1]", "g..org", ".g.org", ".", ":",
    ],
)  # fmt: skip
def test_hosts_of_grpc_that_cannot_be(given: str) -> None:
    said = "'GRPC_HOST' must be the name .* The port goes into 'GRPC_PORT'"
    with pytest.raises(InvalidOptions, match=said) as caught:
        parse_options(
            WeaviateBackend.Options, {"HOST": "http://h", "GRPC_HOST": given}, "BACKENDS['default']"
        )
    assert "hunter2" not in str(caught.value)


def test_secrets_are_never_shown() -> None:
    options = WeaviateBackend.Options(
        host="http://h", api_key="hunter2", headers={"X-OpenAI-Api-Key": "hunter3"}
    )
    assert "hunter" not in repr(options) + repr(WeaviateBackend("default", options))


def test_cloud_without_a_key_is_warned_of() -> None:
    def messages(**options: Any) -> list[str | None]:
        given = WeaviateBackend.Options(**options)
        return [message.id for message in WeaviateBackend("default", given).check()]

    assert messages(host="abc.weaviate.cloud") == ["wagtail_vector_index_weaviate.W001"]
    assert messages(host="abc.weaviate.cloud", api_key="key") == []
    assert messages(host="http://localhost:8080") == []


def test_what_replicas_do_not_cover_is_said() -> None:
    def messages(**options: Any) -> list[CheckMessage]:
        given = WeaviateBackend.Options(host="http://localhost:8080", **options)
        return WeaviateBackend("default", given).check()

    for consistency in ("ONE", "QUORUM"):  # a verification reads one replica with either
        [message] = messages(replication_factor=3, consistency=consistency)
        assert message.id == "wagtail_vector_index_weaviate.I001"
        assert "the verification after a crash" in message.msg
        assert "FORCE_FULL_REPLICAS_SEARCH" in str(message.hint)
        assert "manage.py update_vector_indexes --rebuild" in str(message.hint)
    assert messages(replication_factor=1) == messages() == []


def schema(server: Double, name: str = "Wagtail_some") -> dict[str, Any]:
    import httpx

    found: dict[str, Any] = httpx.get(f"{server.options['host']}/v1/schema/{name}").json()
    return found


def test_what_a_collection_is_made_with(server: Double, backend: WeaviateBackend) -> None:
    backend.create(SPEC)
    found = schema(server)
    assert found["invertedIndexConfig"] == {"indexNullState": True}
    vector = found["vectorConfig"]["wagtail"]
    assert vector["vectorizer"] == {"none": {}}
    assert vector["vectorIndexType"] == "hnsw"
    asked = {
        "distance": "l2-squared", "maxConnections": 32, "efConstruction": 128, "ef": -1,
        "flatSearchCutoff": 50_001, "skipDefaultQuantization": True,
    }  # fmt: skip
    assert vector["vectorIndexConfig"].items() >= asked.items()
    types = {each["name"]: each["dataType"] for each in found["properties"]}
    assert types == {
        "wagtail_metadata": ["text"], "wagtail_guard": ["object"], "part": ["int"],
        "f_text": ["text"], "f_number": ["number"],
        "f_whole": ["int"], "f_yes": ["boolean"], "f_when": ["int"], "f_when__us": ["int"],
        "f_tags": ["text[]"], "f_ids": ["int[]"], "f_id": ["text"], "f_vector": ["int"],
    }  # fmt: skip
    for each in found["properties"]:
        assert each["indexFilterable"] is (
            each["name"] not in ("wagtail_metadata", "wagtail_guard")
        )
        ranges = each["dataType"][0] in ("int", "number")
        assert each.get("indexRangeFilters", False) is ranges
        if each["dataType"][0].startswith("text"):
            assert each["tokenization"] == "field"
            assert each["indexSearchable"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"m": 8, "ef_construction": 64, "ef": 50}, {"maxConnections": 8, "ef": 50}),
        (
            {"quantization": "bq", "rescore_limit": 600},
            {"bq": {"enabled": True, "rescoreLimit": 600}, "dynamicEfMin": 600},
        ),
        ({"quantization": "rq"}, {"rq": {"enabled": True, "rescoreLimit": 400}}),
        ({"quantization": "pq"}, {"skipDefaultQuantization": True}),
        ({"quantization": "sq"}, {"skipDefaultQuantization": True}),
    ],
)
def test_hnsw(
    server: Double, make_backend: Make, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    make_backend(**given).create(SPEC)
    assert schema(server)["vectorConfig"]["wagtail"]["vectorIndexConfig"].items() >= (
        expected.items()
    )


def test_flat(server: Double, make_backend: Make) -> None:
    make_backend(index="flat", quantization="bq").create(SPEC)
    vector = schema(server)["vectorConfig"]["wagtail"]
    assert vector["vectorIndexType"] == "flat"
    assert vector["vectorIndexConfig"] == {
        "distance": "l2-squared",
        "bq": {"enabled": True, "rescoreLimit": 400},
    }


def test_dynamic(server: Double, make_backend: Make) -> None:
    make_backend(index="dynamic", quantization="rq", m=16).create(SPEC)
    vector = schema(server)["vectorConfig"]["wagtail"]
    assert vector["vectorIndexType"] == "dynamic"
    index = vector["vectorIndexConfig"]
    assert index["hnsw"]["maxConnections"] == 16
    assert index["hnsw"]["rq"] == index["flat"]["rq"]
    assert index["flat"]["rq"]["enabled"] is True


def test_shards_and_replicas(server: Double, make_backend: Make) -> None:
    make_backend(shard_number=3, replication_factor=2).create(SPEC)
    found = schema(server)
    assert found["shardingConfig"]["desiredCount"] == 3
    replication = {
        "factor": 2, "asyncEnabled": True, "deletionStrategy": "TimeBasedResolution",
    }  # fmt: skip
    assert found["replicationConfig"] == replication


def test_sites_share_a_cluster(make_backend: Make) -> None:
    one, other = make_backend(collection_prefix="One"), make_backend(collection_prefix="Other")
    batch = RecordBatch.of(ids=sorted_ids(3), vectors=random_vectors(3, 4))
    for backend in (one, other):
        backend.create(SPEC)
    one.upsert(SPEC, batch)
    assert (one.count(SPEC), other.count(SPEC)) == (3, 0)
    other.drop(SPEC)
    assert (one.collections(), other.collections()) == (["some"], [])


def test_headers_are_sent_with_every_request(server: Double, make_backend: Make) -> None:
    server.configure(key="a key")
    backend = make_backend(headers={"Authorization": "Bearer a key"})
    backend.create(SPEC)
    assert backend.search(SPEC, [1, 2, 3, 4]) == []


def test_batches_are_bounded(server: Double, make_backend: Make) -> None:
    spec = CollectionSpec(name="some", dimensions=4)
    ids, vectors = sorted_ids(100), random_vectors(100, 4)
    by_count, by_bytes = make_backend(batch_size=30), make_backend(batch_bytes=20_000)
    by_count.create(spec)
    server.fail()
    by_count.upsert(spec, RecordBatch.of(ids=ids, vectors=vectors))
    assert server.calls.count("BatchObjects") == 4
    server.fail()
    metadata = [{"text": "x" * 2_000}] * 100
    by_bytes.upsert(spec, RecordBatch.of(ids=ids, vectors=vectors, metadata=metadata))
    assert server.calls.count("BatchObjects") == 50


@pytest.mark.parametrize("kind", ["pq", "sq"])
def test_quantisation_that_is_trained_begins_with_optimize(
    server: Double, make_backend: Make, kind: str
) -> None:
    backend = make_backend(quantization=kind)
    backend.create(SPEC)
    server.fail()
    backend.optimize(SPEC)
    backend.optimize(SPEC)
    index = schema(server)["vectorConfig"]["wagtail"]["vectorIndexConfig"]
    assert index[kind]["enabled"] is True
    assert server.calls.count("PUT schema") == 1


def test_vectors_of_another_size_are_refused(server: Double, backend: WeaviateBackend) -> None:
    """As the server says it, for a collection whose note of its size was changed."""
    backend.create(SPEC)
    batch = RecordBatch.of(ids=sorted_ids(2), vectors=random_vectors(2, 4))
    backend.upsert(SPEC, batch)
    server.fail({"kind": "partial", "on": "BatchObjects", "text": "inconsistent vector lengths"})
    with pytest.raises(WriteFailed, match="another shape"):
        backend.upsert(SPEC, batch)


def test_health(server: Double, backend: WeaviateBackend) -> None:
    import weaviate

    backend.create(SPEC)
    backend.upsert(SPEC, RecordBatch.of(ids=sorted_ids(3), vectors=random_vectors(3, 4)))
    found = backend.health()
    assert found.ok
    assert found.message == "Weaviate 1.39.0, 1 collections"
    assert found.details == {
        "server": server.options["host"],
        "grpc": f"127.0.0.1:{server.options['grpc_port']}",
        "weaviate": "1.39.0",
        "client": weaviate.__version__,
        "collections": "1",
        "nodes": "double HEALTHY",
        "some": "3 records, 1 × READY",
    }


@pytest.mark.filterwarnings("error")
def test_warnings_of_the_client_are_in_the_health_once(
    server: Double, backend: WeaviateBackend
) -> None:
    server.configure(latest_client="4.999.0")
    for _ in range(2):
        told = backend.health().details["warnings"]
        assert told.count("4.999.0") == 1
    assert backend.collections() == []
