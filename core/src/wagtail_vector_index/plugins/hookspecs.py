"""The hooks that a plugin can implement. An implementation may take fewer arguments.

The supplying hooks return data and are called once, when plugins are discovered. The
other three are called while an index works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from .documents import Index, PreparedDocument
from .specs import BackendSpec, hookspec

if TYPE_CHECKING:  # discovery works without Django, which filters need
    from ..contract.records import Match


@hookspec
def vector_backends() -> Mapping[str, BackendSpec]:  # type: ignore[empty-body]
    """Offer classes that store vectors and find the nearest.

    Example::

        @hookimpl
        def vector_backends():
            return {"acme": BackendSpec(path="acme_vectors.AcmeBackend")}
    """


@hookspec
def embedding_backends() -> Mapping[str, BackendSpec]:  # type: ignore[empty-body]
    """Offer classes that turn texts into vectors.

    Example::

        @hookimpl
        def embedding_backends():
            return {"acme": BackendSpec(path="acme_vectors.AcmeEmbeddings")}
    """


@hookspec
def chat_backends() -> Mapping[str, BackendSpec]:  # type: ignore[empty-body]
    """Offer classes that answer questions from given passages.

    Example::

        @hookimpl
        def chat_backends():
            return {"acme": BackendSpec(path="acme_vectors.AcmeChat")}
    """


@hookspec
def documents_prepared(
    index: Index, documents: Sequence[PreparedDocument]
) -> Sequence[PreparedDocument] | None:
    """Redact or enrich the documents of one source object before they are embedded.

    Return the documents to go on with, or None to leave them as they are. Each plugin gets
    what the one before it returned. An error here stops the update of that object: text
    that could not be redacted is never embedded. Objects that are indexed already come here
    when they change, or with ``update_vector_indexes --rebuild``.

    Example::

        @hookimpl
        def documents_prepared(documents):
            return [replace(doc, text=mask_emails(doc.text)) for doc in documents]
    """


@hookspec
def index_updated(index: Index, upserted: Sequence[UUID], deleted: Sequence[UUID]) -> None:
    """Take note that documents were written to an index and others deleted from it.

    Called after the transaction. An error is logged and goes no further.

    Example::

        @hookimpl
        def index_updated(index, upserted, deleted):
            metrics.count("indexed", len(upserted), index=index.name)
    """


@hookspec
def search_performed(index: Index, query: str, matches: Sequence[Match], seconds: float) -> None:
    """Take note of a search: its text, what the backend found, and how long it took.

    ``matches`` are chunks, before they are checked against what the visitor may see.
    ``query`` is empty for a search by example. An error is logged and goes no further.

    Example::

        @hookimpl
        def search_performed(index, query, seconds):
            logger.info("%s: %r took %.0f ms", index.name, query, 1000 * seconds)
    """
