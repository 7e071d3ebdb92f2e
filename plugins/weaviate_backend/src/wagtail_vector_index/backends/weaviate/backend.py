"""The Weaviate backend: collections on a server, in the cloud or self-hosted."""

from __future__ import annotations

import os
from collections.abc import Sequence

from django.core.checks import CheckMessage, Info, Warning  # noqa: A004  # Django's name

from wagtail_vector_index.backends.base import (
    CollectionSpec,
    RecordBatch,
    VectorBackend,
)
from wagtail_vector_index.contract import Setting
from wagtail_vector_index.contract.services import Operations, Service, ServiceBackend

from .options import WeaviateOptions

__all__ = ["WeaviateBackend"]

# gRPC reads this when it is first imported. Without it, calls in a forked process never end.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")


class WeaviateBackend(ServiceBackend, VectorBackend):
    """Keeps collections on a Weaviate server, with a property for each filter field.

    Asynchronous methods use the asynchronous client, one for each event loop.

    Example::

        WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": "weaviate", "HOST": "http://localhost:8080"},
        }
    """

    class Options(WeaviateOptions):
        """The keys next to ``BACKEND``; `WeaviateOptions` explains each."""

    # The operations split these batches again, into requests that are sent at once.
    max_batch_records = 10_000
    max_batch_bytes = 64 * 2**20
    longest_vector = 1e18
    recall_advice = (
        "Set M and EF_CONSTRUCTION to more, or QUANTIZATION to 'none', and run:"
        " manage.py update_vector_indexes --rebuild"
    )

    options: WeaviateOptions

    def _wider_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        return ()  # the schema has the setting; a search cannot bring another

    def _reach(self, spec: CollectionSpec) -> int:
        from .searching import FAR_BEYOND

        return min(super()._reach(spec), self.options.max_results - FAR_BEYOND)

    def _make_service(self) -> Service:
        from .errors import WeaviateErrors
        from .service import WeaviateService

        return WeaviateService(self.options, WeaviateErrors(self.alias, self.options))

    def _make_operations(self, service: Service) -> Operations:
        from .errors import WeaviateErrors
        from .operations import WeaviateOperations

        return WeaviateOperations(self.options, WeaviateErrors(self.alias, self.options))

    def check(self) -> list[CheckMessage]:
        """Warn if the alias names Weaviate Cloud without a key; say what replicas do not cover."""
        messages: list[CheckMessage] = []
        options = self.options
        if options.endpoints.cloud and not options.api_key and not options.headers:
            messages.append(
                Warning(
                    f"Vector backend {self.alias!r} has no key for Weaviate Cloud.",
                    hint="Set API_KEY.",
                    id="wagtail_vector_index_weaviate.W001",
                )
            )
        if (options.replication_factor or 1) > 1:
            messages.append(
                Info(
                    f"Vector backend {self.alias!r}: a search asks one replica of each shard,"
                    " whatever CONSISTENCY says, and so does the verification after a crash. A node"
                    " that was away lacks recent records until it has caught up. A node that"
                    " crashed may go on missing records that another one finds.",
                    hint=(
                        "Set FORCE_FULL_REPLICAS_SEARCH=true in the environment of the servers,"
                        " then a search asks all replicas. Silence this check afterwards. Otherwise"
                        " run after the crash of a node: manage.py update_vector_indexes --rebuild"
                    ),
                    id="wagtail_vector_index_weaviate.I001",
                )
            )
        return messages

    def _first_invalid_vector(self, spec: CollectionSpec, batch: RecordBatch) -> int | None:
        from wagtail_vector_index.contract.arrays import first_invalid, matrix

        return first_invalid(matrix(batch), spec.metric, self.longest_vector)
