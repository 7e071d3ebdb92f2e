"""The chunks that match a query, rather than the objects they are chunks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from wagtail.admin.admin_url_finder import AdminURLFinder

from ..content.object_keys import object_key
from ..indexes import VectorIndex
from ..models.tables import Document
from ..plugins.handlers import vector_backends

_OBJECTS = 10
_CHUNKS = 30


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One chunk of an object, with its score."""

    source: Any
    edit_url: str | None
    number: int
    content: str
    score: float


def matching_chunks(index: VectorIndex, query: str, request: HttpRequest) -> list[Chunk]:
    """The best chunks of the objects that a search finds, best first.

    Args:
        index: the index to search.
        query: the text to search for.
        request: whose user may see what is found.

    Raises:
        VectorIndexError: as a search does.
    """
    found = index.search(query, limit=_OBJECTS, request=request)
    objects = {object_key(instance): instance for instance in found}
    if not objects or found.search.searched is None:
        return []
    collection, vector = found.search.searched
    backend = vector_backends[collection.vector_backend]
    only = Q(object__in=list(objects))
    matches = backend.search(collection.spec, vector, limit=_CHUNKS, filter=only)
    documents = Document.objects.filter(deleted_at=None).in_bulk([match.id for match in matches])
    finder = AdminURLFinder(request.user)
    return [
        Chunk(
            source=objects[document.object_key],
            edit_url=finder.get_edit_url(objects[document.object_key]),
            number=document.position + 1,
            content=document.content,
            score=match.score,
        )
        for match in matches
        if (document := documents.get(match.id)) is not None
    ]
