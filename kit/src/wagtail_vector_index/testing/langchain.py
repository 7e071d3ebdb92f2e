"""An adapter from a vector backend to LangChain's vector stores, for LangChain's own tests.

Only this module needs ``langchain-core``. In the tests of a backend, with the package
``langchain-tests``::

    class TestAcme(VectorStoreIntegrationTests):
        @pytest.fixture
        def vectorstore(self):
            backend = AcmeBackend("default", AcmeBackend.Options(host="localhost"))
            with temporary_store(backend, self.get_embeddings()) as store:
                yield store
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db.models import Q

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    raise ImportError(
        f"wagtail_vector_index.testing.langchain needs langchain-core ({error})."
        " Run: pip install langchain-tests"
    ) from error

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, Match, Record, RecordBatch
from wagtail_vector_index.exceptions import InvalidQuery

from .harness import new_name

__all__ = ["BackendVectorStore", "temporary_store"]

#: LangChain's ids are texts. Each text has one UUID here, and is stored with its document.
NAMESPACE = UUID("6f8d3d0e-6d0b-5a52-9d0c-6b1f3c0a8f57")
ID, CONTENT = "langchain:id", "langchain:content"


class BackendVectorStore(VectorStore):
    """One collection of a vector backend as LangChain's ``VectorStore``.

    It adds, deletes, gets and searches documents, with synchronous and asynchronous methods.
    It has no relevance scores between 0 and 1 and no marginal relevance: LangChain computes
    them itself, so that they test no backend.

    Args:
        backend: the vector backend.
        spec: the spec of a collection that exists. Searches can filter by its ``fields``.
        embedding: makes vectors of the collection's dimensions from texts.
    """

    def __init__(self, backend: VectorBackend, spec: CollectionSpec, embedding: Embeddings) -> None:
        self.backend = backend
        self.spec = spec
        self.embedding = embedding

    @property
    def embeddings(self) -> Embeddings:
        """LangChain's object that makes vectors from texts."""
        return self.embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        backend: VectorBackend | None = None,
        spec: CollectionSpec | None = None,
        **kwargs: Any,
    ) -> BackendVectorStore:
        """Create a collection with these texts, and return its store.

        Raises:
            TypeError: ``backend`` or ``spec`` is missing.
        """
        if backend is None or spec is None:
            raise TypeError("from_texts() needs backend= and spec=, the collection to fill.")
        backend.create(spec)
        store = cls(backend, spec, embedding)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    # Writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write texts, and return their ids. Texts without an id get a new one."""
        listed = list(texts)
        names = _names(ids, len(listed))
        vectors = self.embedding.embed_documents(listed)
        self.backend.upsert(self.spec, _batch(names, listed, metadatas, vectors))
        return names

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Do what `add_texts` does."""
        listed = list(texts)
        names = _names(ids, len(listed))
        vectors = await self.embedding.aembed_documents(listed)
        await self.backend.aupsert(self.spec, _batch(names, listed, metadatas, vectors))
        return names

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents, or all of them if ``ids`` is None."""
        if ids is None:
            self.backend.drop(self.spec)
            self.backend.create(self.spec)
        else:
            self.backend.delete(self.spec, map(_uuid, ids))
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Do what `delete` does."""
        if ids is None:
            await self.backend.adrop(self.spec)
            await self.backend.acreate(self.spec)
        else:
            await self.backend.adelete(self.spec, map(_uuid, ids))
        return True

    # Reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents of these ids that exist."""
        return [_document(record) for record in self.backend.get(self.spec, map(_uuid, ids))]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Do what `get_by_ids` does."""
        found = await self.backend.aget(self.spec, map(_uuid, ids))
        return [_document(record) for record in found]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Return the nearest documents, best first. ``filter`` is a ``Q`` over the fields."""
        return _without_scores(self.similarity_search_with_score(query, k, **kwargs))

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """Do what `similarity_search` does."""
        return _without_scores(await self.asimilarity_search_with_score(query, k, **kwargs))

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Q | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the nearest documents with the backend's scores. Higher is nearer."""
        vector = self.embedding.embed_query(query)
        return self._scored(self.backend.search(self.spec, vector, limit=k, filter=filter))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Q | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_score` does."""
        vector = await self.embedding.aembed_query(query)
        matches = await self.backend.asearch(self.spec, vector, limit=k, filter=filter)
        found = await self.backend.aget(self.spec, [match.id for match in matches])
        return _paired(matches, found)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Q | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the documents nearest to a vector."""
        matches = self.backend.search(self.spec, embedding, limit=k, filter=filter)
        return _without_scores(self._scored(matches))

    def _scored(self, matches: list[Match]) -> list[tuple[Document, float]]:
        return _paired(matches, self.backend.get(self.spec, [match.id for match in matches]))


@contextmanager
def temporary_store(
    backend: VectorBackend, embedding: Embeddings, **shape: Any
) -> Iterator[BackendVectorStore]:
    """Make an empty store under a new name. At the end, drop it and close the backend.

    Args:
        backend: the vector backend.
        embedding: makes vectors from texts.
        shape: ``metric`` and ``fields`` of the collection.
    """
    dimensions = len(embedding.embed_query("How long is a vector?"))
    spec = CollectionSpec(name=new_name(), dimensions=dimensions, **shape)
    backend.create(spec)
    try:
        yield BackendVectorStore(backend, spec, embedding)
    finally:
        backend.drop(spec)
        backend.close()


def _names(ids: Sequence[str | None] | None, count: int) -> list[str]:
    given = list(ids) if ids is not None else [None] * count
    return [name or str(uuid4()) for name in given]


def _uuid(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def _batch(
    names: list[str],
    texts: list[str],
    metadatas: list[dict[str, Any]] | None,
    vectors: list[list[float]],
) -> RecordBatch:
    given = metadatas or [{}] * len(texts)
    if not len(names) == len(texts) == len(given):
        raise InvalidQuery(
            f"{len(texts)} texts came with {len(given)} metadatas and {len(names)} ids."
        )
    return RecordBatch.of(
        ids=map(_uuid, names),
        vectors=vectors,
        metadata=[
            {**metadata, ID: name, CONTENT: text}
            for name, text, metadata in zip(names, texts, given, strict=True)
        ],
    )


def _document(record: Record) -> Document:
    metadata = dict(record.metadata)
    name, text = metadata.pop(ID), metadata.pop(CONTENT)
    return Document(id=name, page_content=text, metadata=metadata)


def _paired(matches: list[Match], found: RecordBatch) -> list[tuple[Document, float]]:
    documents = {record.id: _document(record) for record in found}
    return [(documents[match.id], match.score) for match in matches if match.id in documents]


def _without_scores(scored: list[tuple[Document, float]]) -> list[Document]:
    return [document for document, _ in scored]
