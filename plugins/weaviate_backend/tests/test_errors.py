"""Failures at a server become clear errors, which name the alias and hide the key."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from weaviate_servers import Double, double

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
    ConfigurationError,
    WriteFailed,
)
from wagtail_vector_index.testing.examples import id_of

KEY = "s3cret-key-of-the-cluster"
SPEC = CollectionSpec(name="some", dimensions=2, fields={"n": "int"})
BATCH = RecordBatch.of(ids=[id_of("a"), id_of("b")], vectors=[[1, 2], [2, 1]])

Make = Callable[..., WeaviateBackend]

OPERATIONS: dict[str, Callable[[WeaviateBackend], Any]] = {
    "create": lambda backend: backend.create(SPEC),
    "collections": lambda backend: backend.collections(),
    "upsert": lambda backend: backend.upsert(SPEC, BATCH),
    "delete": lambda backend: backend.delete(SPEC, [id_of("a")]),
    "search": lambda backend: backend.search(SPEC, [1, 0]),
    "count": lambda backend: backend.count(SPEC),
    "get": lambda backend: backend.get(SPEC, [id_of("a")]),
    "scan": lambda backend: list(backend.scan(SPEC)),
    "optimize": lambda backend: backend.optimize(SPEC),
    "drop": lambda backend: backend.drop(SPEC),
    "health": lambda backend: backend.health(),
}


@contextmanager
def told(error: type[BackendError], *words: str) -> Iterator[pytest.ExceptionInfo[Any]]:
    """The block raises this error, which names the alias and has these words, and no key."""
    with pytest.raises(error) as caught:
        yield caught
    shown = "".join(traceback.format_exception(caught.value))
    message = str(caught.value)
    assert "'default'" in message
    assert KEY not in shown
    for word in words:
        assert word in message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_wrong_key(server: Double, make_backend: Make, operation: str) -> None:
    server.configure(key="another")
    with told(BackendRefused, "API_KEY"):
        OPERATIONS[operation](make_backend(api_key=KEY))


def test_key_that_is_no_longer_accepted(server: Double, make_backend: Make) -> None:
    server.configure(key=KEY)
    backend = make_backend(api_key=KEY)
    backend.create(SPEC)
    server.configure(key="another")
    with told(BackendRefused, "API_KEY"):
        backend.search(SPEC, [1, 0])


def test_missing_key(server: Double, make_backend: Make) -> None:
    server.configure(key=KEY)
    with told(BackendRefused, "API_KEY"):
        make_backend().collections()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_key_where_the_server_has_none(server: Double, make_backend: Make, operation: str) -> None:
    with told(BackendRefused, "Remove API_KEY"):
        OPERATIONS[operation](make_backend(api_key=KEY))


def test_right_key(server: Double, make_backend: Make) -> None:
    server.configure(key=KEY)
    backend = make_backend(api_key=KEY)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    assert backend.count(SPEC) == 2
    assert KEY not in repr(backend) + repr(backend.options)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_is_there(make_backend: Make, operation: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening
        port = taken.getsockname()[1]
        backend = make_backend(host=f"http://127.0.0.1:{port}", timeout=1.0)
        with told(BackendUnavailable, f"127.0.0.1:{port}", "HOST"):
            OPERATIONS[operation](backend)


def test_host_without_an_address(make_backend: Make) -> None:
    with told(BackendUnavailable, "nowhere.invalid", "HOST"):
        make_backend(host="http://nowhere.invalid:8080", timeout=1.0).collections()


@pytest.mark.parametrize("listens", ["HTTP", "gRPC"])
def test_server_that_never_answers(make_backend: Make, listens: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        options = {"grpc_port": port} if listens == "gRPC" else {"host": f"http://127.0.0.1:{port}"}
        backend = make_backend(timeout=0.5, **options)
        started = time.monotonic()
        with told(BackendUnavailable, f":{port}"):
            backend.search(SPEC, [1, 0])
        assert time.monotonic() - started < 10  # the client itself would wait for a minute


def test_wrong_port_of_grpc(make_backend: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        backend = make_backend(grpc_port=taken.getsockname()[1], timeout=1.0)
        backend.create(SPEC)
        with told(BackendUnavailable, "GRPC_PORT"):
            backend.search(SPEC, [1, 0])


def test_http_where_grpc_should_be(server: Double, make_backend: Make) -> None:
    port = int(server.options["host"].rpartition(":")[2])
    backend = make_backend(grpc_host="localhost", grpc_port=port, timeout=1.0)
    with told(BackendUnavailable, "GRPC_PORT"):
        backend.search(SPEC, [1, 0])


def test_host_that_is_not_weaviate(make_backend: Make) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome")

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        backend = make_backend(host=f"http://127.0.0.1:{other.server_port}", grpc_port=1)
        with told(BackendRefused, "HOST"):
            backend.collections()
        other.shutdown()


@pytest.mark.parametrize("version", ["1.20.0", "1.26.5", "1.32.9"])
def test_server_that_is_too_old(server: Double, make_backend: Make, version: str) -> None:
    server.configure(version=version)
    with told(BackendRefused, version):
        make_backend().collections()


def test_read_only_server(server: Double, make_backend: Make) -> None:
    """It names one record of a batch only; none of them is written."""
    backend = make_backend()
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH[:1])
    server.configure(read_only=True)
    changed = RecordBatch.of(ids=BATCH.uuids, vectors=[[3, 4], [2, 1]])
    with told(WriteFailed, "2 of 2", "read-only") as caught:
        backend.upsert(SPEC, changed)
    assert set(caught.value.ids) == set(BATCH.uuids)
    with told(BackendRefused, "read-only"):
        backend.delete(SPEC, BATCH.uuids)
    assert backend.count(SPEC) == 1
    found = backend.health()
    assert not found.ok
    assert "some is read-only" in found.message


def test_a_key_that_may_only_read(server: Double, make_backend: Make) -> None:
    server.configure(key=KEY)
    backend = make_backend(api_key=KEY)
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    server.configure(key=KEY, only_reads=True)
    with told(WriteFailed, "2 of 2", "API_KEY may read, write"):
        backend.upsert(SPEC, RecordBatch.of(ids=BATCH.uuids, vectors=[[3, 4], [2, 1]]))
    for change in (lambda: backend.delete(SPEC, BATCH.uuids), lambda: backend.drop(SPEC)):
        with told(BackendRefused, "API_KEY may read, write"):
            change()
    assert len(backend.search(SPEC, [1, 0])) == backend.count(SPEC) == 2
    found = backend.health()
    assert not found.ok
    assert "it cannot be changed" in found.message
    assert "API_KEY may read, write" in found.message
    assert KEY not in found.message


def test_health_changes_nothing(server: Double, backend: WeaviateBackend) -> None:
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    server.fail()
    assert backend.health().ok
    assert "BatchDelete" in server.calls
    assert backend.collections() == [SPEC.name]
    assert backend.count(SPEC) == 2


NODE = {"name": "double"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"members": ["double", "second", "third"]},
            ["node second is missing", "third is missing"],
        ),
        ({"nodes": [NODE, {"name": "second", "status": "UNAVAILABLE"}]}, ["second is UNAVAILABLE"]),
        ({"nodes": [NODE | {"operationalMode": "ReadOnly"}]}, ["double is in the mode ReadOnly"]),
        ({"nodes": [NODE | {"shards": []}, NODE]}, []),
    ],
)
def test_health_of_nodes(
    server: Double, backend: WeaviateBackend, settings: dict[str, Any], told: list[str]
) -> None:
    backend.create(SPEC)
    server.configure(**settings)
    found = backend.health()
    assert found.ok is (not told)
    for words in told:
        assert words in found.message


@pytest.mark.parametrize("status", ["403", "404"])
@pytest.mark.parametrize(
    ("path", "permission", "lost"),
    [
        ("nodes", "read_nodes", "replicas that are missing are not reported"),
        ("cluster", "read_cluster", "a restart of the server is not noticed"),
    ],
)
def test_health_says_what_is_lost_by_a_missing_permission(
    server: Double, backend: WeaviateBackend, status: str, path: str, permission: str, lost: str
) -> None:
    backend.create(SPEC)
    assert "permissions" not in backend.health().details
    server.fail({"kind": status, "on": f"GET {path}", "times": -1})
    found = backend.health()
    assert found.ok
    for words in (permission, lost):
        assert words in found.message
        assert words in found.details["permissions"]


def test_health_of_a_collection_whose_replicas_are_missing(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(replication_factor=3)
    backend.create(SPEC)
    found = backend.health()
    assert not found.ok
    assert "some has 1 of 3 replicas" in found.message


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A proxy that refuses to connect to anything, for all hosts but the tests' own server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for name in ("http_proxy", "HTTPS_PROXY", "NO_PROXY", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
        monkeypatch.setenv("http_proxy", f"http://ada:{KEY}@{address}")
        yield address


def test_proxy_that_fails_is_named(make_backend: Make, proxy: str) -> None:
    with told(BackendUnavailable, proxy, "no_proxy"):
        make_backend(host="http://vectors.example.org:8080", timeout=1.0).collections()


def test_proxy_that_fails_for_grpc_is_named(make_backend: Make, proxy: str) -> None:
    backend = make_backend(grpc_host="vectors.example.org", timeout=1.0)
    backend.collections()
    with told(BackendUnavailable, proxy, "no_proxy"):
        backend.search(SPEC, [1, 0])


def test_variable_that_names_no_proxy(
    make_backend: Make, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://ada:{KEY}@proxy:notaport")
    backend = make_backend(host="http://vectors.example.org:8080")
    for call in (backend.collections, lambda: asyncio.run(backend.acollections())):
        with pytest.raises(ConfigurationError, match="variable http_proxy") as caught:
            call()
        assert KEY not in "".join(traceback.format_exception(caught.value))


#: On Linux and macOS an address of this machine, but not one that needs no proxy.
HERE = "0.0.0.0"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("http_proxy", "https://{proxy}"), ("no_proxy", "127.0.0.1, ")],
)
def test_grpc_that_would_bypass_the_proxy(
    server: Double,
    make_backend: Make,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value.format(proxy=proxy))
    backend = make_backend(grpc_host=HERE)
    server.fail()
    for search in (
        lambda: backend.search(SPEC, [1, 0]),
        lambda: asyncio.run(backend.asearch(SPEC, [1, 0])),
    ):
        with pytest.raises(ConfigurationError, match=f"variable {variable} .* no_proxy"):
            search()
    assert server.calls == []


def test_grpc_takes_the_proxy_whatever_its_own_rule(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1, ")
    monkeypatch.setenv("no_grpc_proxy", "")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listening.getsockname()[1]}")
        backend = make_backend(grpc_host=HERE, timeout=1.0)
        server.fail()
        with told(BackendUnavailable):  # a proxy that does not answer
            backend.search(SPEC, [1, 0])
        with listening.accept()[0] as asked:
            said = asked.recv(1_000).decode()
    assert said.startswith(f"CONNECT {HERE}:{server.options['grpc_port']} ")
    assert "Search" not in server.calls


def test_this_machine_is_reached_directly(
    make_backend: Make, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.delenv("no_proxy")
    backend = make_backend()
    backend.create(SPEC)
    assert backend.search(SPEC, [1, 0]) == []


def test_forbidden(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_retries=0)
    backend.create(SPEC)
    server.fail({"kind": "403", "on": "Search"})
    with told(BackendRefused, "denies access"):
        backend.search(SPEC, [1, 0])
    server.fail({"kind": "403", "on": "GET schema"})
    with told(BackendRefused, "denies access"):
        backend.upsert(SPEC, BATCH)


def test_key_that_may_not_look_at_nodes(server: Double, make_backend: Make) -> None:
    backend = make_backend()
    backend.create(SPEC)
    server.fail({"kind": "403", "on": "GET nodes", "times": -1})
    backend.upsert(SPEC, BATCH)
    assert backend.health().ok


def test_collection_of_somebody_else(server: Double, backend: WeaviateBackend) -> None:
    import httpx

    body = {"class": "Wagtail_some", "properties": []}
    httpx.post(f"{server.options['host']}/v1/schema", json=body).raise_for_status()
    with told(CollectionMismatch, "COLLECTION_PREFIX", "another program made"):
        backend.create(SPEC)
    with told(CollectionMismatch, "COLLECTION_PREFIX"):
        backend.upsert(SPEC, BATCH)
    assert backend.collections() == []


def test_upsert_never_makes_a_collection(server: Double, backend: WeaviateBackend) -> None:
    with told(CollectionNotFound, "some"):
        backend.upsert(SPEC, BATCH)
    assert "BatchObjects" not in server.calls
    assert backend.collections() == []


@pytest.mark.parametrize("times", [1, 9])
def test_a_backend_that_another_thread_closes(
    server: Double, make_backend: Make, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    backend = make_backend()
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    send, left = backend._service.send, iter(range(times))

    def closed(client: Any, request: Any) -> Any:
        if next(left, None) is not None:
            backend.close()
        return send(client, request)

    monkeypatch.setattr(backend._service, "send", closed)
    if times == 1:
        assert len(backend.search(SPEC, [1, 0])) == 2
    else:
        with told(BackendUnavailable, "another thread has closed the backend"):
            backend.search(SPEC, [1, 0])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])

    def signed(name: x509.Name, public: Any, extensions: list[tuple[Any, bool]]) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(authority_key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    basic = x509.BasicConstraints(ca=True, path_length=None)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    known = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    (folder / "ca.pem").write_bytes(
        signed(
            authority, authority_key.public_key(), [(basic, True), (known, False), (usage, True)]
        )
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    (folder / "server.pem").write_bytes(
        signed(name, key.public_key(), [(address, False), (by, False)])
    )
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


@pytest.fixture(scope="module")
def secure(certificates: Path) -> Iterator[Double]:
    with double(str(certificates / "server.pem"), str(certificates / "server.key")) as server:
        yield server


def test_tls(secure: Double, certificates: Path, make_backend: Make) -> None:
    backend = make_backend(**secure.options, ca_certificate=str(certificates / "ca.pem"))
    backend.create(SPEC)
    backend.upsert(SPEC, BATCH)
    assert len(backend.search(SPEC, [1, 0])) == 2
    backend.drop(SPEC)


def test_the_environment_names_the_authorities_for_http(
    secure: Double, certificates: Path, make_backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    assert make_backend(**secure.options).collections() == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_the_environment_names_a_file_that_cannot_be_used(
    secure: Double,
    make_backend: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str | None,
) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with told(BackendRefused, "SSL_CERT_FILE"):
        make_backend(**secure.options).collections()


def test_certificate_of_an_unknown_authority(secure: Double, make_backend: Make) -> None:
    with told(BackendUnavailable, "CA_CERTIFICATE"):
        make_backend(**secure.options, timeout=1.0).collections()


def test_certificate_of_an_unknown_authority_for_grpc(
    secure: Double, server: Double, make_backend: Make
) -> None:
    options = server.options | {"grpc_port": secure.options["grpc_port"], "grpc_secure": True}
    with told(BackendUnavailable, "CA_CERTIFICATE"):
        make_backend(**options, timeout=1.0).search(SPEC, [1, 0])


def test_tls_where_there_is_none(server: Double, make_backend: Make) -> None:
    host = server.options["host"].replace("http:", "https:")
    with told(BackendUnavailable, "https://"):
        make_backend(host=host, timeout=1.0).collections()
    with told(BackendUnavailable, "GRPC_SECURE"):
        make_backend(grpc_secure=True, timeout=1.0).search(SPEC, [1, 0])


def test_no_tls_where_there_is_some(secure: Double, server: Double, make_backend: Make) -> None:
    host = secure.options["host"].replace("https:", "http:")
    with told(BackendError, "HOST"):
        make_backend(host=host, timeout=1.0).collections()
    with told(BackendUnavailable, "GRPC_SECURE"):
        make_backend(grpc_port=secure.options["grpc_port"], timeout=1.0).search(SPEC, [1, 0])


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_file_of_certificates_that_cannot_be_used(
    make_backend: Make, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    backend = make_backend(host="https://127.0.0.1:1", ca_certificate=str(path))
    with told(BackendRefused, "CA_CERTIFICATE"):
        backend.collections()
