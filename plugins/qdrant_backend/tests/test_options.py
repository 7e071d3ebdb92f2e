from __future__ import annotations

import logging
from typing import Any

import pytest

from plugins.qdrant_backend.tests.conftest import KEY
from tests.clean_python import run_python
from wagtail_vector_index.backends.qdrant import QdrantBackend, plugin
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.exceptions import InvalidOptions

HOST = "https://qdrant.example.com:6333"


def parse(**settings: Any) -> Any:
    return parse_options(QdrantBackend.Options, settings, "SETTING['default']")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "set either 'HOST', the URL of a server such as .*, or 'LOCATION'"),
        ({"HOST": HOST, "LOCATION": ":memory:"}, "set either 'HOST'"),
        (
            {"LOCATION": "/var/qdrant"},
            "'LOCATION' can only be ':memory:'.*only one can use a folder",
        ),
        ({"HOST": "qdrant.example.com"}, "'HOST' is a URL such as"),
        ({"HOST": "localhost:6333"}, "'HOST' is a URL such as"),
        ({"HOST": "https://"}, "'HOST' is a URL such as"),
        ({"HOST": "https://a:99999"}, "'HOST' is a URL such as"),
        ({"HOST": "https://a/?key=1"}, "'HOST' is a URL such as"),
        ({"HOST": f"https://me:{KEY}@a"}, "'HOST' must not hold a user or password"),
        (
            {"HOST": HOST, "API_KEY": f"{KEY}\n"},
            "'API_KEY' must be ASCII text without spaces or line breaks",
        ),
        ({"HOST": HOST, "API_KEY": None}, "'API_KEY' must be of type str"),
        ({"HOST": HOST, "HEADERS": {"token": 1}}, "'HEADERS' must be of type dict"),
        ({"HOST": HOST, "HEADERS": {"X Proxy": KEY}}, "'X Proxy' is not a valid header name"),
        ({"HOST": HOST, "HEADERS": {"X-Proxy": f"ü{KEY}"}}, "of 'X-Proxy' must be ASCII"),
        ({"HOST": f"{HOST}\n"}, "'HOST' contains a space, a line break"),
        ({"HOST": HOST, "GRPC_PORT": 65_536}, "'GRPC_PORT' must be from 1 to 65535"),
        ({"HOST": HOST, "TIMEOUT": 0}, "'TIMEOUT' must be from 1 to 86400, not 0"),
        ({"HOST": HOST, "TIMEOUT": 10**10}, "'TIMEOUT' must be from 1 to 86400"),
        ({"HOST": HOST, "WRITE_TIMEOUT": 10**10}, "'WRITE_TIMEOUT' must be from 1 to 86400"),
        ({"HOST": HOST, "TIMEOUT": 0.5}, "'TIMEOUT' must be from 1 to 86400, not 0.5"),
        ({"HOST": HOST, "BATCH_BYTES": 1}, "'BATCH_BYTES' must be at least 1024"),
        ({"HOST": HOST, "CONSISTENCY": 0}, "'CONSISTENCY' must be at least 1"),
        ({"HOST": HOST, "CONSISTENCY": "some"}, "'CONSISTENCY' must be"),
        ({"HOST": HOST, "QUANTIZATION": "turbo"}, "'QUANTIZATION' must be one of 'none', 'scalar'"),
        ({"HOST": HOST, "OVERSAMPLING": 0.5}, "'OVERSAMPLING' must be at least 1.0"),
        ({"HOST": HOST, "OVERSAMPLING": float("nan")}, "'OVERSAMPLING' must be at least 1.0"),
        ({"HOST": HOST, "HNSW": {"ef": 1}}, "'HNSW' has no key 'ef'. It knows: m, ef_construct"),
        ({"HOST": HOST, "HNSW": {"m": True}}, "'HNSW': 'm' must be of type int"),
        ({"HOST": HOST, "COLLECTION_PREFIX": "a/b"}, "'COLLECTION_PREFIX' must be 1 to 64 letters"),
        ({"HOST": HOST, "COLLECTION_PREFIX": ""}, "'COLLECTION_PREFIX' must be 1 to 64 letters"),
        ({"HOST": "http://a", "CA_CERTIFICATE": "a.pem"}, "certificates can be used only"),
        ({"HOST": HOST, "CLIENT_KEY": "a.pem"}, "'CLIENT_KEY' needs its 'CLIENT_CERTIFICATE'"),
        ({"HOST": HOST, "CA_CERTIFICATE": "a.pem", "VERIFY": False}, "has no effect if 'VERIFY'"),
        ({"HOST": HOST, "GRPC": True, "VERIFY": False}, "'VERIFY' cannot be False with 'GRPC'"),
        ({"HOST": HOST, "SHARDS": 3}, "unknown key 'SHARDS'"),
    ],
)
def test_wrong_options(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as raised:
        parse(**settings)
    assert "SETTING['default']" in str(raised.value)
    assert KEY not in f"{raised.value} {raised.value.__cause__}"


def test_secrets_are_not_shown() -> None:
    options = parse(HOST=HOST, API_KEY=KEY, HEADERS={"X-Proxy": "sesame"})
    backend = QdrantBackend("default", options)
    assert KEY not in f"{options!r} {backend!r} {backend.check()}"
    assert "sesame" not in repr(options)
    assert KEY not in options.redact(f"the key is {KEY}")


@pytest.mark.parametrize(
    ("host", "count"),
    [("http://qdrant.example.com", 1), (HOST, 0), ("http://localhost:6333", 0)],
)
def test_key_over_an_unencrypted_connection(host: str, count: int) -> None:
    messages = QdrantBackend("default", parse(HOST=host, API_KEY=KEY)).check()
    assert [message.id for message in messages] == ["wagtail_vector_index_qdrant.W001"] * count
    assert all(message.level == logging.WARNING for message in messages)
    assert KEY not in str(messages)


def test_the_scheme_of_a_host_may_have_capitals() -> None:
    """The client takes it for TLS, so certificates must be loaded and can be set."""
    from qdrant_client import QdrantClient

    from wagtail_vector_index.backends.qdrant.connecting import connected

    options = parse(HOST=HOST.replace("https", "HTTPS"), CLIENT_CERTIFICATE="")
    client = connected(QdrantClient, options, "Here")
    assert client._client.rest_uri.startswith("https://")
    assert client._client._rest_args["verify"].cert_store_stats()["x509_ca"]
    client.close()


def test_the_plugin_offers_the_backend() -> None:
    (spec,) = plugin.vector_backends().values()
    assert plugin.API_VERSION == 1
    assert spec.path == f"wagtail_vector_index.backends.qdrant.{QdrantBackend.__name__}"
    assert spec.requires == ("qdrant_client", "numpy", "orjson", "tenacity")


def test_nothing_is_imported_before_it_is_needed() -> None:
    code = """
import sys
from wagtail_vector_index.backends.qdrant import plugin
assert "wagtail_vector_index.backends.qdrant.backend" not in sys.modules
from wagtail_vector_index.backends.qdrant import QdrantBackend
backend = QdrantBackend("default", QdrantBackend.Options(host="http://localhost:6333"))
backend.check()
backend.close()
assert not {"qdrant_client", "grpc", "httpx", "pydantic", "numpy", "tenacity"} & set(sys.modules)
"""
    assert run_python(code) == ""


def test_unknown_names_of_the_package() -> None:
    import wagtail_vector_index.backends.qdrant as package

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = package.Nothing
