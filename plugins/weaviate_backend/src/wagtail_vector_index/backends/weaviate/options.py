"""What can stand in the settings beside ``BACKEND``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wagtail_vector_index.contract import (
    Options,
    check_api_key,
    check_headers,
    check_ranges,
    secret,
)

from .endpoints import Endpoints

Index = Literal["hnsw", "flat", "dynamic"]
Quantization = Literal["none", "pq", "bq", "sq", "rq"]
Consistency = Literal["ONE", "QUORUM", "ALL"]

#: Option, and the least and the most that it can be.
RANGES = {
    "timeout": (0.001, 86_400),
    "retries": (0, 100),
    "batch_size": (1, 10_000),
    "batch_bytes": (1_024, 100 * 2**20),
    "concurrency": (1, 64),
    "max_results": (100, 10_000_000),
    "m": (4, 2_048),
    "ef_construction": (4, 4_096),
    "ef": (-1, 4_096),
    "rescore_limit": (1, 10_000),
    "shards": (1, 10_000),
    "replicas": (1, 1_000),
}

#: What each kind of index can hold its vectors as.
QUANTIZATIONS: dict[Index, tuple[Quantization, ...]] = {
    "hnsw": ("none", "pq", "bq", "sq", "rq"),
    "flat": ("none", "bq", "rq"),
    "dynamic": ("none", "pq", "bq", "sq", "rq"),
}

_PREFIX = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class WeaviateOptions(Options):
    """The options of an alias; all but ``host`` have defaults.

    Args:
        host: the server's URL, such as ``"http://localhost:8080"``, or the address of a
            cluster in Weaviate Cloud.
        api_key: the key; a self-hosted server may need none.
        grpc_host: where gRPC is spoken; derived from ``host`` by default.
        grpc_port: its port; 443 in Weaviate Cloud, otherwise 50051.
        grpc_secure: whether gRPC goes over TLS; by default if ``host`` is https.
        timeout: seconds that one request may take.
        retries: how often a batch of writes is sent again after a time-out, a limit of the
            rate or an error of the server. Reads are tried again within ``timeout``.
        ca_certificate: a file of the authorities to trust, in PEM; the system's by default.
        client_certificate: a file with a certificate to present, in PEM.
        client_key: the file with its key.
        headers: sent with every request.
        prefix: begins the names of all collections, so that several sites share a cluster.
        batch_size: the most records in one request.
        batch_bytes: about the most bytes in one request.
        concurrency: how many requests of one batch are under way at once.
        max_results: the server's ``QUERY_MAXIMUM_RESULTS``.
        index: the kind of index that collections are made with.
        quantization: how that index holds its vectors in memory.
        m: HNSW: how many neighbours each vector has in the graph.
        ef_construction: HNSW: how many candidates are looked at for them.
        ef: HNSW: how many candidates a search looks at; -1 lets the server choose.
        rescore_limit: with a quantisation: of how many candidates, found by what is held in
            memory, the vectors themselves are compared.
        shards: into how many parts a collection is split; the server's default by default.
        replicas: how many copies of each shard there are; the server's default by default.
        consistency: how many replicas confirm a write, and are asked by a read.
    """

    host: str
    api_key: str = secret("")
    grpc_host: str = ""
    grpc_port: int | None = None
    grpc_secure: bool | None = None
    timeout: float = 10.0
    retries: int = 3
    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, metadata={"secret": True})
    prefix: str = "Wagtail"
    batch_size: int = 500
    batch_bytes: int = 8 * 2**20
    concurrency: int = 4
    max_results: int = 10_000
    index: Index = "hnsw"
    quantization: Quantization = "none"
    m: int = 32
    ef_construction: int = 128
    ef: int = -1
    rescore_limit: int = 400
    shards: int | None = None
    replicas: int | None = None
    consistency: Consistency = "QUORUM"

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                "'PREFIX' must begin with a capital, followed by at most 63 letters and digits,"
                f" not {self.prefix!r}."
            )
        check_api_key(self.api_key)
        if bool(self.client_certificate) != bool(self.client_key):
            raise ValueError("'CLIENT_CERTIFICATE' and 'CLIENT_KEY' go together.")
        if self.quantization not in QUANTIZATIONS[self.index]:
            raise ValueError(
                f"'QUANTIZATION' of the index {self.index!r} must be one of"
                f" {', '.join(QUANTIZATIONS[self.index])}, not {self.quantization!r}."
            )
        check_headers(self.headers)
        self.endpoints  # noqa: B018  # raises ValueError if they make no sense

    @property
    def endpoints(self) -> Endpoints:
        """Where HTTP and gRPC are spoken.

        Raises:
            ValueError: the options make no sense together.
        """
        return Endpoints.of(
            self.host,
            grpc_host=self.grpc_host,
            grpc_port=self.grpc_port,
            grpc_secure=self.grpc_secure,
        )
