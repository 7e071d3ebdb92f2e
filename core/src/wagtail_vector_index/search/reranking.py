"""Has a reranking backend put the first objects of a ranking into a better order."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..content.declaration import IndexDeclaration
from ..contract.echoes import hide_content
from ..contract.sansio import Call, Steps
from ..exceptions import ConfigurationError, InvalidIndex, InvalidScores
from ..indexing.failures import error_text
from ..models.sessions import again_if_lost
from ..models.tables import Document
from ..plugins.documents import PreparedDocument
from ..plugins.redaction import stack_of
from ..wording import shown
from .ranking import Hit

__all__ = ["check_reranking", "reranked", "reranking_depth"]

logger = logging.getLogger(__name__)


def check_reranking(index: IndexDeclaration) -> None:
    """Raise InvalidIndex if the index declares a number of candidates that cannot be."""
    number = index.rerank_candidates
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidIndex(
            f"{index.name}: rerank_candidates must be an int of at least 1, not {shown(number)}."
        )


def reranking_depth(index: IndexDeclaration) -> int:
    """Return the number of objects to find for the reranking backend, 0 if the index has none."""
    return 0 if index.reranking_backend is None else index.rerank_candidates


def reranked(index: IndexDeclaration, query: str, hits: list[Hit]) -> Steps[list[Hit]]:
    """Return hits with the first in the order of the reranking backend's scores, best first.

    The scores of hits stay what they were. Hits beyond ``rerank_candidates`` follow in their
    order. If the backend fails, or cannot be made, the error is logged, and all hits keep their
    order.

    Args:
        index: the index, which may have no reranking backend.
        query: the text that was searched for.
        hits: the ranking, best first. The visitor may see all of its objects, so that no other
            text leaves for a service.
    """
    if index.reranking_backend is None:
        return hits
    texts = _texts([hit.document for hit in hits[: reranking_depth(index)]])
    # A chunk that was deleted a moment ago has no text any more.
    first = [hit for hit in hits if hit.document in texts]
    if len(first) < 2:
        return hits
    sent = [texts[hit.document] for hit in first]
    try:
        scores = yield from _scores(index, query, sent)
    except Exception as error:  # noqa: BLE001  # from a plugin, and no reason for a search to fail
        if not isinstance(error, ConfigurationError):  # which was raised before anything was sent
            hide_content(error, [query, *sent])
        logger.warning(
            "%s is searched without its reranking backend %r, which failed: %s\n%s",
            index.name,
            index.reranking_backend,
            error_text(error),
            stack_of(error),
        )
        return hits
    ranked = sorted(zip(scores, first, strict=True), key=lambda pair: -pair[0])
    return [*(hit for _, hit in ranked), *(hit for hit in hits if hit.document not in texts)]


@again_if_lost
def _texts(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the texts of chunks as they were embedded, by the ids of their documents."""
    rows = Document.objects.filter(pk__in=ids, deleted_at=None)
    return {
        pk: PreparedDocument(text=content, context=context, metadata={}).embedded_text
        for pk, content, context in rows.values_list("pk", "content", "context")
    }


def _scores(index: IndexDeclaration, query: str, texts: Sequence[str]) -> Steps[list[float]]:
    """Return the scores of texts by the index's reranking backend.

    Raises:
        InvalidScores: the backend returned something other than one finite number for each text.
        Exception: whatever else the backend raised, or making it.
    """
    reranker: Any = index.reranker
    returned: Any = yield Call(
        sync=lambda: reranker.rerank(query, texts),
        asynchronous=lambda: reranker.arerank(query, texts),
    )
    try:
        scores = [float(score) for score in returned]
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong("something other than numbers") from error
    if len(scores) != len(texts):
        raise _wrong(f"{len(scores)} scores for {len(texts)} texts")
    if not all(map(math.isfinite, scores)):
        raise _wrong("a score that is NaN or infinite")
    return scores


def _wrong(what: str) -> InvalidScores:
    error = InvalidScores(f"It returned {what}.")
    error.quotation = ""
    return error
