"""Hybrid search, which merges rankings by meaning and by words into one ranking."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any, Literal, get_args

from ..content.visibility import Visibility
from ..contract.records import Match
from ..contract.sansio import Steps
from ..exceptions import InvalidQuery
from ..indexing.failures import error_text
from ..models.tables import Collection
from ..plugins.redaction import stack_of
from .base import Search, both, of_objects
from .collections import active_collection
from .ranking import Hit, reciprocal_rank_fusion
from .text_search import TextSearch
from .word_search import word_rankings

__all__ = ["HybridSearch", "Mode", "text_search"]

Mode = Literal["vector", "hybrid"]

logger = logging.getLogger(__name__)

#: The number of nearest objects that are merged, unless the limit is higher.
DEPTH = 30


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

    def _rank(self) -> Steps[list[Hit]]:
        collection = active_collection(self.index)
        self._check_fields(collection)
        vector = yield from self._vector(collection)
        if vector is None:
            return []
        nearest = _Nearest(
            **self._arguments(),
            vector=vector,
            limit=max(self.limit, DEPTH),
            visitor=self.visibility,
        )
        nearest.text = self.text  # type: ignore[misc]
        near: list[Hit] = yield from nearest.steps()
        known = {hit.key: hit for hit in near}
        among = self._inside() if nearest.visible_keys is None else nearest.visible_keys
        rankings = yield from self._verified(self._word_rankings(among), known, vector)
        fused = reciprocal_rank_fusion([[hit.key for hit in near], *rankings])
        return [known[key] for key in fused if key in known][: self.limit]

    def _word_rankings(self, among: list[str] | None) -> list[list[str]]:
        """Return the rankings by words, or none if the search for words fails.

        Objects that the visitor may not see are removed before ranks are counted. Otherwise,
        the ranks would reveal that such objects exist.
        """
        try:
            rankings = word_rankings(
                self.index, self.text, None if among is None else frozenset(among)
            )
        except Exception as error:  # noqa: BLE001  # the backend is the site's
            logger.warning(
                "%s is searched by meaning alone, because the search for words failed: %s\n%s",
                self.index.name,
                error_text(error),
                stack_of(error),
            )
            return []
        keys = list(dict.fromkeys(key for ranking in rankings for key in ranking))
        visible = self.index.visible_among(keys, self.visibility, self.within)
        return [[key for key in ranking if key in visible] for ranking in rankings]

    def _verified(
        self, rankings: list[list[str]], known: dict[str, Hit], vector: Any
    ) -> Steps[list[list[str]]]:
        """Return the rankings without objects that must not be found; add to the known hits.

        Only the beginnings of the rankings are looked up, until there are ``limit`` objects. An
        object at a later rank that is found by its words alone cannot be in the result, since
        at least ``limit`` objects come before it. It still counts in the ranks of the others.
        """
        candidates = [key for row in zip_longest(*rankings) for key in row if key is not None]
        position, size, found, rejected = 0, self.limit, 0, set()
        while found < self.limit and position < len(candidates):
            some = candidates[position : position + size]
            if unknown := [key for key in some if key not in known]:
                named = _Named(
                    **self._arguments(), vector=vector, limit=len(unknown), visitor=self.visibility
                )
                named.filter = both(named.filter, of_objects(unknown))
                hits: list[Hit] = yield from named.steps()
                known.update((hit.key, hit) for hit in hits)
            rejected |= set(some) - known.keys()
            found += len(set(some) & known.keys())
            position, size = position + size, size * 4
        return [[key for key in ranking if key not in rejected] for ranking in rankings]

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that every part of the search gets, except the limit."""
        names = (field.name for field in fields(Search) if field.init and field.name != "limit")
        return {name: getattr(self, name) for name in names}


@dataclass(kw_only=True)
class _Nearest(Search):
    """A search with a vector that is known already."""

    vector: Any
    visitor: Visibility

    @property
    def visibility(self) -> Visibility:
        """The visibility that the whole hybrid search uses."""
        return self.visitor

    def _vector(self, collection: Collection) -> Steps[Any]:
        yield from ()
        return self.vector


@dataclass(kw_only=True)
class _Named(_Nearest):
    """The part of a hybrid search that looks up the objects found by their words."""

    def _notify(self, matches: Sequence[Match], seconds: float) -> None:
        """Call no hook, since `_Nearest` has called it already for the same hybrid search."""
