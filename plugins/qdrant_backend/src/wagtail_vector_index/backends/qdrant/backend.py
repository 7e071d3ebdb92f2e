"""The Qdrant backend: collections on a server, or in this process's memory."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from django.core import checks

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch, VectorBackend
from wagtail_vector_index.contract.services import Operations, Service, ServiceBackend

from .options import QdrantOptions

__all__ = ["QdrantBackend"]


class QdrantBackend(ServiceBackend, VectorBackend):
    """Keeps collections on a Qdrant server or cluster; or in memory, with ``LOCATION``.

    The first operation imports the client, which takes seconds.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "qdrant", "HOST": "https://…:6333", "API_KEY": "…"},
        }
    """

    class Options(QdrantOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    # The operations split these batches again, into requests that are sent at once.
    max_batch_records = 10_000
    max_batch_bytes = 64 * 2**20
    longest_vector = 1e18
    recall_advice = (
        "Set HNSW to a larger 'm' and 'ef_construct', or QUANTIZATION to 'none' or 'scalar', or"
        " EXACT to True, and run: manage.py update_vector_indexes --rebuild"
    )

    options: QdrantOptions

    def __init__(self, alias: str, options: QdrantOptions) -> None:
        super().__init__(alias, options)
        if options.grpc:
            # gRPC reads this when it is first imported. Without it, calls after a fork fail.
            os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

    @property
    def persistent(self) -> bool:
        """True if a server keeps the collections, rather than this process's memory."""
        return not self.options.in_memory

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the key travels unencrypted to another machine."""
        host = urlsplit(self.options.host)
        local = host.hostname in ("localhost", "127.0.0.1", "::1")
        if not self.options.api_key or host.scheme == "https" or local:
            return []
        return [
            checks.Warning(
                f"Vector backend {self.alias!r} sends its API_KEY over an unencrypted connection.",
                hint="Use a HOST that begins with https://.",
                id="wagtail_vector_index_qdrant.W001",
            )
        ]

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        from wagtail_vector_index.contract.arrays import first_invalid, matrix

        return first_invalid(matrix(batch), spec.metric, self.longest_vector)

    def _make_service(self) -> Service:
        from .service import service

        return service(self.alias, self.options)

    def _make_operations(self, service: Service) -> Operations:
        from .operations import QdrantOperations

        return QdrantOperations(self.options, service.errors)
