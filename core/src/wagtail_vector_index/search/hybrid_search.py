"""Hybrid search, which ranks objects by their meaning and their words together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ..content.declaration import Fusion, IndexDeclaration
from ..content.visibility import Visibility
from ..contract.metrics import FACTS
from ..contract.records import Match
from ..contract.sansio import Steps
from ..exceptions import InvalidIndex, InvalidQuery
from ..indexing.failures import error_text
from ..models.sessions import again_if_lost
from ..models.tables import Collection, Document
from ..plugins.redaction import stack_of
from ..wording import shown
from .base import MAX_FILTER_KEYS, Search, both, of_objects
from .lead_chunks import lead_chunks
from .ranking import Hit, reciprocal_rank_fusion, score_fusion
from .text_search import TextSearch
from .word_search import MAX_CANDIDATES, word_scores

__all__ = ["HybridSearch", "Mode", "check_fusion", "text_search"]

Mode = Literal["vector", "hybrid"]

logger = logging.getLogger(__name__)

#: The number of objects that each of the two searches contributes, unless the limit is higher.
DEPTH = 30

#: The most objects that the search for words is asked for: at first, and if these do not suffice
#: because a filter or the visitor's permissions leave out most of them.
_LIMITS = MAX_CANDIDATES, 10 * MAX_CANDIDATES

#: The most chunks that one lookup of the objects found by their words asks for at first.
_MOST_CHUNKS = 10_000


def text_search(mode: str, **arguments: Any) -> TextSearch:
    """Return a search for a text in one of the modes.

    Raises:
        InvalidQuery: the mode does not exist, or an argument is wrong.
    """
    if mode not in get_args(Mode):
        allowed = " or ".join(map(repr, get_args(Mode)))
        raise InvalidQuery(f"mode must be {allowed}, not {mode!r}.")
    return (HybridSearch if mode == "hybrid" else TextSearch)(**arguments)


@dataclass(kw_only=True)
class HybridSearch(TextSearch):
    """A search for objects that are near to a text in meaning, or share words with it.

    Objects found by their words are looked up in the vector backend by their keys. So the same
    filter, threshold and visibility apply to them, and they have scores and excerpts as well.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fusion(self.index)

    def _rank(self) -> Steps[list[Hit]]:
        collection = self._collection()
        self._check_fields(collection)
        vector = yield from self._vector(collection)
        if vector is None:
            return (yield from self._by_words_alone(collection))
        nearest = _Nearest(**self._arguments(), limit=self._depth)
        nearest.text = self.text  # type: ignore[misc]
        near: list[Hit] = yield from nearest.steps()
        known = {hit.key: hit for hit in near}
        among = nearest.inside if nearest.visible_keys is None else nearest.visible_keys
        words = yield from self._by_words(among, known, self._arguments())
        return self._fused(near, known, words)

    def _by_words_alone(self, collection: Collection) -> Steps[list[Hit]]:
        """Return what shares words with a text that the model knows nothing of, as unrelated.

        The vector backend still applies the filter. It takes no zero vector, so the objects are
        looked up with any other vector. Their excerpts come from their lead chunks.
        """
        unrelated = FACTS[collection.spec.metric].unrelated
        threshold = self.similarity_threshold
        if not self.text or (threshold is not None and threshold > unrelated):
            return []
        any_vector = [1.0, *[0.0] * (collection.dimensions - 1)]
        arguments = self._arguments() | {
            "searched_with": (collection, any_vector),
            "similarity_threshold": None,
        }
        known: dict[str, Hit] = {}
        words = yield from self._by_words(self.inside, known, arguments)
        leads = {key: document for document, key in lead_chunks(collection, known).items()}
        return [
            Hit(key=key, score=unrelated, document=leads.get(key, known[key].document))
            for key in words
        ]

    @property
    def _depth(self) -> int:
        """The number of candidates to take from each of the two searches."""
        return max(super()._depth, DEPTH)

    def _fused(self, near: list[Hit], known: dict[str, Hit], words: dict[str, float]) -> list[Hit]:
        if self.index.fusion == "ranks":
            rankings = [[hit.key for hit in near], list(words)]
            return [known[key] for key in reciprocal_rank_fusion(rankings)]
        weight = self.index.vector_weight
        return score_fusion(
            known.values(),
            words,
            vector_weight=self.index.embedder.vector_weight if weight is None else weight,
            metric=self.index.metric,
        )

    def _word_scores(self, among: list[str] | None, limit: int) -> dict[str, float]:
        """Return the scores by words, best first, or none if the search for words fails."""
        try:
            keys = None if among is None else frozenset(among)
            return again_if_lost(word_scores)(self.index, self.text, keys, limit)
        except Exception as error:  # noqa: BLE001  # the backend is the site's
            logger.warning(
                "%s is searched by meaning alone, because the search for words failed: %s\n%s",
                self.index.name,
                error_text(error),
                stack_of(error),
            )
            return {}

    def _by_words(
        self, among: list[str] | None, known: dict[str, Hit], arguments: dict[str, Any]
    ) -> Steps[dict[str, float]]:
        """Return the scores by words without objects that must not be found.

        Adds the first objects to the known hits, with their vector scores. Objects at later ranks
        that are found by their words alone are left out, since enough others come before them.
        What the visitor may not see is left out of the scores, because the best score would
        reveal that it exists.

        Args:
            among: the keys of the only objects that can be found, or None if there are too many.
            known: the hits that are known already, by their keys.
            arguments: the arguments of the search that looks up others.
        """
        words: dict[str, float] = {}
        size, found = self._depth, 0
        # With a threshold, few may be near enough, however many share a word with the query.
        limits = _LIMITS if self.similarity_threshold is None else _LIMITS[:1]
        for limit in limits:
            more = self._word_scores(among, limit)
            if len(more) <= len(words):  # there are no more, or the larger search failed
                break
            candidates = [key for key in more if key not in words]
            words = more
            while found < self._depth and candidates:
                some, candidates = candidates[:size], candidates[size:]
                unknown = [key for key in some if key not in known]
                yield from self._look_up(unknown, known, arguments)
                found += len(set(some) & known.keys())
                size = min(size * 4, MAX_FILTER_KEYS)
            if found >= self._depth or len(words) < limit:
                break
        return {key: score for key, score in words.items() if key in known}

    def _look_up(
        self, keys: list[str], known: dict[str, Hit], arguments: dict[str, Any]
    ) -> Steps[None]:
        """Add the objects of these keys to the known hits, without those that must not be found."""
        visible = self.index.visible_among(keys, self.visibility, self.within)
        if keys := [key for key in keys if key in visible]:
            # These keys are inside already.
            named = _Named(**arguments | {"within": None}, limit=len(keys), keys=keys)
            hits: list[Hit] = yield from named.steps()
            known.update((hit.key, hit) for hit in hits)

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that every part of the search gets, except the limit."""
        names = (field.name for field in fields(Search) if field.init and field.name != "limit")
        given = {name: getattr(self, name) for name in names}
        return given | {"searched_with": self.searched, "visitor": self.visibility}


@dataclass(kw_only=True)
class _Nearest(Search):
    """A search in a collection and with a vector that are known already."""

    searched_with: tuple[Collection, Any]
    visitor: Visibility

    @property
    def visibility(self) -> Visibility:
        """The visibility that the whole hybrid search uses."""
        return self.visitor

    def _collection(self) -> Collection:
        return self.searched_with[0]

    def _vector(self, collection: Collection) -> Steps[Any]:
        yield from ()
        return self.searched_with[1]


@dataclass(kw_only=True)
class _Named(_Nearest):
    """The part of a hybrid search that looks up the objects found by their words.

    Args:
        keys: the keys of the objects, all of which the visitor may see.
    """

    keys: list[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filter = both(self.filter, of_objects(self.keys))

    def _wanted(self, collection: Collection) -> int:
        """Return the number of the objects' chunks, so that one call of the backend is enough."""
        chunks = Document.objects.filter(
            collection=collection, object_key__in=self.keys, deleted_at=None
        )
        count: int = chunks.count()
        return min(max(count, 1), _MOST_CHUNKS)

    def _visible(self, hits: Sequence[Hit]) -> list[Hit]:
        return list(hits)

    def _notify(self, matches: Sequence[Match], seconds: float) -> None:
        """Call no hook, since `_Nearest` has called it already for the same hybrid search."""


def check_fusion(index: IndexDeclaration) -> None:
    """Raise InvalidIndex if the index declares another fusion or weight than there are."""
    if index.fusion not in get_args(Fusion):
        allowed = " or ".join(map(repr, get_args(Fusion)))
        raise InvalidIndex(f"{index.name}: fusion must be {allowed}, not {shown(index.fusion)}.")
    weight = index.vector_weight
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if weight is not None and not (is_number and 0 <= weight <= 1):
        raise InvalidIndex(
            f"{index.name}: vector_weight must be a number from 0 to 1, or None, not"
            f" {shown(weight)}."
        )
