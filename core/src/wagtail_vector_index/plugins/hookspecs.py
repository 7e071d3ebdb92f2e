"""The hooks that a plugin can implement. An implementation may accept fewer arguments.

The hooks that offer backends return data. They are called once, when plugins are
discovered. The other three hooks are called when an index is updated or searched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from .documents import Index, PreparedDocument
from .specs import BackendSpec, hookspec

if TYPE_CHECKING:  # filters need Django, discovery must work without it
    from ..contract.records import Match


@hookspec
def vector_backends() -> Mapping[str, BackendSpec]:  # type: ignore[empty-body]
    """Offer classes that store vectors and find the nearest ones.

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
    """Offer classes that answer questions from given chunks.

    Example::

        @hookimpl
        def chat_backends():
            return {"acme": BackendSpec(path="acme_vectors.AcmeChat")}
    """


@hookspec
def reranking_backends() -> Mapping[str, BackendSpec]:  # type: ignore[empty-body]
    """Offer classes that score how well texts answer a query, to rank search results again.

    Example::

        @hookimpl
        def reranking_backends():
            return {"acme": BackendSpec(path="acme_vectors.AcmeReranker")}
    """


@hookspec
def documents_prepared(
    index: Index, documents: Sequence[PreparedDocument]
) -> Sequence[PreparedDocument] | None:
    """Redact or enrich the documents of one source object before they are embedded.

    Return the documents to embed, or None to leave them as they are. Each plugin gets the
    documents that the previous plugin returned. An error here stops the update of that object:
    text that could not be redacted is never embedded. Nor is anything embedded for an index whose
    documents a plugin has changed, while that plugin cannot be loaded. For an object that is
    already indexed, the hook is called when the object changes, when ``update_vector_indexes``
    runs with another set or other versions of the plugins that have this hook, or with
    ``--rebuild``.

    Redact ``context`` as well as ``text``: it holds the important fields, such as the title. Also
    look at ``metadata``, the values that searches filter by. They go to the vector backend.

    Example::

        @hookimpl
        def documents_prepared(documents):
            return [
                replace(doc, text=mask_emails(doc.text), context=mask_emails(doc.context))
                for doc in documents
            ]
    """


@hookspec
def index_updated(index: Index, upserted: Sequence[UUID], deleted: Sequence[UUID]) -> None:
    """React to documents that were written to an index or deleted from it.

    Called after the transaction. An error is logged and affects nothing else.

    Example::

        @hookimpl
        def index_updated(index, upserted, deleted):
            metrics.count("indexed", len(upserted), index=index.name)
    """


@hookspec
def search_performed(index: Index, query: str, matches: Sequence[Match], seconds: float) -> None:
    """React to a search: its text, the matches of the backend, and the seconds it took.

    ``matches`` are the chunks nearest in meaning, without what a hybrid search finds by its words.
    The check of what the visitor may see comes later. ``query`` is empty for a search by example.
    A search in which nothing can be found has no matches. An error is logged and affects nothing
    else.

    Example::

        @hookimpl
        def search_performed(index, query, seconds):
            logger.info("%s: %r took %.0f ms", index.name, query, 1000 * seconds)
    """
