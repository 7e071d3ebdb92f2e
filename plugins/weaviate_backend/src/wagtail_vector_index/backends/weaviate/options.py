"""The options of the settings next to ``BACKEND``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wagtail_vector_index.contract import (
    MAX_TIMEOUT,
    RECALL_TARGET,
    Options,
    check_api_key,
    check_headers,
    check_ranges,
    check_recall,
    secret,
)

from .endpoints import Endpoints

Index = Literal["hnsw", "flat", "dynamic"]
Quantization = Literal["none", "pq", "bq", "sq", "rq"]
Consistency = Literal["ONE", "QUORUM", "ALL"]

#: The lowest and highest value of each option that is a number.
RANGES = {
    "timeout": (0.001, MAX_TIMEOUT),
    "write_timeout": (0.001, MAX_TIMEOUT),
    "max_retries": (0, 100),
    "batch_size": (1, 10_000),
    "batch_bytes": (1_024, 100 * 2**20),
    "concurrency": (1, 64),
    "max_results": (100, 10_000_000),
    "m": (4, 2_048),
    "ef_construction": (4, 4_096),
    "ef": (-1, 4_096),
    "rescore_limit": (1, 10_000),
    "shard_number": (1, 10_000),
    "replication_factor": (1, 1_000),
}

#: The quantisations that each kind of index supports.
QUANTIZATIONS: dict[Index, tuple[Quantization, ...]] = {
    "hnsw": ("none", "pq", "bq", "sq", "rq"),
    "flat": ("none", "bq", "rq"),
    "dynamic": ("none", "pq", "bq", "sq", "rq"),
}

_PREFIX = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class WeaviateOptions(Options):
    """The options of an alias; only ``host`` is required.

    Args:
        host: the server's URL, such as ``"http://localhost:8080"``, or the address of a
            cluster in Weaviate Cloud.
        api_key: the key; a self-hosted server may need none.
        grpc_host: the host of gRPC, without its port; derived from ``host`` by default.
        grpc_port: the port of gRPC; by default 443 in Weaviate Cloud, otherwise 50051.
        grpc_secure: whether gRPC uses TLS; by default it does if ``host`` is https.
        timeout: seconds that an operation may take, with all its requests and repetitions.
        write_timeout: seconds that writing or deleting a batch of records may take.
        max_retries: how often a batch of writes is sent again after a lost connection, a rate limit
            or an error of the server. Reads are sent again within ``timeout``.
        ca_certificate: a PEM file of the authorities to trust; the system's by default.
        client_certificate: a PEM file with a certificate to present to the server.
        client_key: the file with the key of ``client_certificate``.
        headers: additional headers of every request.
        collection_prefix: begins the names of all collections, so that several sites can share a
            cluster.
        batch_size: the most records in one request.
        batch_bytes: the most bytes in one request, approximately.
        concurrency: the most requests of one batch that are sent at once.
        max_results: the server's ``QUERY_MAXIMUM_RESULTS``.
        index: the kind of index that collections are made with.
        quantization: how that index compresses its vectors in memory.
        m: HNSW: how many neighbours each vector has in the graph.
        ef_construction: HNSW: how many candidates for neighbours are examined.
        recall: the share of the nearest records that searches of the index must find. The
            lowest ``ef`` that reaches it is measured.
        ef: HNSW: how many candidates a search examines, instead of the measured number; -1 lets
            the server choose.
        rescore_limit: with a quantisation: how many of the candidates that the compressed
            vectors give are compared by their full vectors.
        shard_number: how many parts a collection is split into; None for the server's default.
        replication_factor: how many copies each shard has; None for the server's default.
        consistency: how many replicas must confirm a write or answer a read.
    """

    host: str
    api_key: str = secret("")
    grpc_host: str = ""
    grpc_port: int | None = None
    grpc_secure: bool | None = None
    timeout: float = 10.0
    write_timeout: float = 60.0
    max_retries: int = 3
    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, metadata={"secret": True})
    collection_prefix: str = "Wagtail"
    batch_size: int = 500
    batch_bytes: int = 8 * 2**20
    concurrency: int = 4
    max_results: int = 10_000
    index: Index = "hnsw"
    quantization: Quantization = "none"
    m: int = 32
    ef_construction: int = 128
    recall: float = RECALL_TARGET
    ef: int | None = None
    rescore_limit: int = 400
    shard_number: int | None = None
    replication_factor: int | None = None
    consistency: Consistency = "QUORUM"

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        check_recall(self.recall)
        if not _PREFIX.fullmatch(self.collection_prefix):
            raise ValueError(
                "'COLLECTION_PREFIX' must be a capital letter followed by at most 63 letters and"
                f" digits, not {self.collection_prefix!r}."
            )
        check_api_key(self.api_key)
        if bool(self.client_certificate) != bool(self.client_key):
            raise ValueError("'CLIENT_CERTIFICATE' and 'CLIENT_KEY' must be set together.")
        if self.quantization not in QUANTIZATIONS[self.index]:
            raise ValueError(
                f"'QUANTIZATION' of the index {self.index!r} must be one of"
                f" {', '.join(QUANTIZATIONS[self.index])}, not {self.quantization!r}."
            )
        check_headers(self.headers)
        self.endpoints  # noqa: B018  # raises ValueError if they are wrong

    @property
    def endpoints(self) -> Endpoints:
        """The addresses of HTTP and gRPC.

        Raises:
            ValueError: the options contradict each other.
        """
        return Endpoints.of(
            self.host,
            grpc_host=self.grpc_host,
            grpc_port=self.grpc_port,
            grpc_secure=self.grpc_secure,
        )
