"""The options of the settings next to ``BACKEND``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from math import ceil, inf
from typing import Any, Literal
from urllib.parse import urlsplit

from wagtail_vector_index.contract import (
    MAX_TIMEOUT,
    RECALL_TARGET,
    Options,
    check_api_key,
    check_headers,
    check_host,
    check_ranges,
    check_recall,
    secret,
)

IN_MEMORY = ":memory:"

Quantization = Literal["none", "scalar", "binary", "product"]
Compression = Literal["x4", "x8", "x16", "x32", "x64"]
Consistency = Literal["majority", "quorum", "all"]

#: The keys of ``HNSW``, and their types.
HNSW_KEYS: dict[str, type] = {
    "m": int,
    "ef_construct": int,
    "full_scan_threshold": int,
    "max_indexing_threads": int,
    "on_disk": bool,
    "payload_m": int,
}

#: The lowest and highest value of each option that is a number.
RANGES = {
    "timeout": (1, MAX_TIMEOUT),
    "write_timeout": (1, MAX_TIMEOUT),
    "oversampling": (1.0, inf),
    "grpc_port": (1, 65_535),
    "batch_bytes": (1_024, inf),
    "max_retries": (0, inf),
} | dict.fromkeys(
    (
        "shard_number replication_factor write_consistency_factor hnsw_ef consistency batch_size"
        " concurrency max_connections indexing_threshold indexing_timeout"
    ).split(),
    (1, inf),
)

_EXAMPLE = "https://qdrant.example.com:6333"
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class QdrantOptions(Options):
    """The options of an alias. Either ``HOST`` or ``LOCATION`` is required.

    Args:
        host: the URL of the server, such as ``"https://qdrant.example.com:6333"``; the
            default port is 6333.
        location: ``":memory:"`` for collections in this process's memory, without a server.
        api_key: the server's key, if it requires one.
        timeout: seconds that an operation may take, with all its requests and repetitions.
        write_timeout: seconds that making a collection, and writing or deleting records, may take;
            ``timeout`` if None.
        grpc: whether to use gRPC instead of the port of ``host``.
        grpc_port: the port of gRPC.
        headers: additional headers of each request, for example for a proxy.
        verify: whether the server's certificate is checked.
        ca_certificate: a PEM file of the authority that signed the server's certificate, if the
            system does not know it.
        client_certificate: a PEM file to present to the server.
        client_key: the PEM file of the private key, if ``client_certificate`` lacks it.
        collection_prefix: begins each collection's name; sites on one server need different ones.
        shard_number: how many shards a new collection has; the server's default if None.
        replication_factor: how many nodes hold each shard.
        write_consistency_factor: how many nodes must confirm a write.
        on_disk: whether the vectors of a new collection stay on disk.
        quantization: how the vectors of a new collection are compressed, if at all.
        quantization_compression: how much ``"product"`` compresses the vectors.
        quantization_always_ram: whether the compressed vectors stay in memory.
        recall: the share of the nearest records that searches of the index must find. The
            cheapest ``hnsw_ef`` and ``oversampling`` that reach it are measured.
        oversampling: how many candidates the compressed vectors give for each wanted record,
            instead of the measured number.
        rescore: whether the candidates are then compared by their full vectors.
        hnsw: ``m``, ``ef_construct`` and other options of the index of a new collection.
        hnsw_ef: how many candidates a search examines, instead of the measured number.
        exact: whether all searches compare every vector.
        consistency: how many replicas must agree on a read: a number, ``"quorum"`` for most,
            or ``"majority"`` and ``"all"``, which need an answer of every replica asked.
        batch_size: the most records in a request.
        batch_bytes: the most bytes in a request, unless a single record has more.
        concurrency: the most requests of one batch that are sent at once.
        max_connections: the most connections of a process, or of an event loop.
        max_retries: how often a request is sent again.
        indexing_threshold: kilobytes of vectors above which a segment gets an index.
        indexing_timeout: seconds that `optimize` waits for the index.

    Raises:
        ValueError: an option is wrong; the message says what is allowed.
    """

    host: str = ""
    location: str = ""
    api_key: str = secret("")
    timeout: float = 10
    write_timeout: float | None = None
    grpc: bool = False
    grpc_port: int = 6334
    headers: dict[str, str] = dataclasses.field(default_factory=dict, metadata={"secret": True})
    verify: bool = True
    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    collection_prefix: str = "wvi"
    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    on_disk: bool = False
    quantization: Quantization = "none"
    quantization_compression: Compression = "x16"
    quantization_always_ram: bool = True
    recall: float = RECALL_TARGET
    oversampling: float | None = None
    rescore: bool = True
    hnsw: dict[str, Any] = dataclasses.field(default_factory=dict)
    hnsw_ef: int | None = None
    exact: bool = False
    consistency: int | Consistency | None = None
    batch_size: int = 1_000
    batch_bytes: int = 8 * 2**20
    concurrency: int = 4
    max_connections: int = 100
    max_retries: int = 3
    indexing_threshold: int = 10_000
    indexing_timeout: int = 3_600

    def __post_init__(self) -> None:
        self._check_where()
        check_api_key(self.api_key)
        check_headers(self.headers)
        self._check_tls()
        if not _PREFIX.fullmatch(self.collection_prefix):
            raise ValueError(
                "'COLLECTION_PREFIX' must be 1 to 64 letters, digits, '_' and '-', not"
                f" {self.collection_prefix!r}."
            )
        check_ranges(self, RANGES)
        check_recall(self.recall)
        self._check_hnsw()

    @property
    def server_timeout(self) -> int:
        """The ``timeout`` that a server is asked for, which takes whole seconds only."""
        return ceil(self.timeout)

    @property
    def in_memory(self) -> bool:
        """True if the process's own memory is used instead of a server."""
        return self.location == IN_MEMORY

    @property
    def has_tls(self) -> bool:
        """True if requests are encrypted. A scheme may have capitals, as in ``HTTPS://``."""
        return urlsplit(self.host).scheme == "https"

    @property
    def endpoint(self) -> str:
        """The URL that requests go to, with the port of REST or of gRPC."""
        parts = urlsplit(self.host)
        name = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        return f"{parts.scheme}://{name}:{self.grpc_port if self.grpc else parts.port or 6333}"

    def _check_where(self) -> None:
        if self.location not in ("", IN_MEMORY):
            raise ValueError(
                f"'LOCATION' can only be {IN_MEMORY!r}, not {self.location!r}. A site has several"
                " processes, but only one can use a folder: run a server, and set 'HOST'."
            )
        if bool(self.host) == bool(self.location):
            raise ValueError(
                f"set either 'HOST', the URL of a server such as {_EXAMPLE!r}, or 'LOCATION',"
                f" which is {IN_MEMORY!r}."
            )
        if self.host:
            check_host(self.host, _EXAMPLE)

    def _check_tls(self) -> None:
        files = (self.ca_certificate, self.client_certificate, self.client_key)
        if any(files) and not self.has_tls:
            raise ValueError(
                "certificates can be used only with a 'HOST' that begins with https://."
            )
        if self.client_key and not self.client_certificate:
            raise ValueError("'CLIENT_KEY' needs its 'CLIENT_CERTIFICATE'.")
        if not self.verify and self.ca_certificate:
            raise ValueError("'CA_CERTIFICATE' has no effect if 'VERIFY' is False. Set only one.")
        if not self.verify and self.grpc:
            raise ValueError(
                "'VERIFY' cannot be False with 'GRPC', which checks every certificate."
                " Set 'CA_CERTIFICATE' to the authority that signed the server's."
            )

    def _check_hnsw(self) -> None:
        for key, value in self.hnsw.items():
            if key not in HNSW_KEYS:
                known = ", ".join(HNSW_KEYS)
                raise ValueError(f"'HNSW' has no key {key!r}. It knows: {known}.")
            if type(value) is not HNSW_KEYS[key]:
                raise ValueError(f"'HNSW': {key!r} must be of type {HNSW_KEYS[key].__name__}.")
