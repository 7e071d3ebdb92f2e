"""Turns a query of Wagtail's search into a text, and finds the objects near to it."""

from __future__ import annotations

from typing import Any

from modelsearch.backends.base import BaseSearchQueryCompiler, SearchFieldError
from modelsearch.query import And, Boost, Fuzzy, MatchAll, Not, Or, Phrase, PlainText

from ..content.independence import is_independent
from ..content.lookups import fetched
from ..content.object_keys import key_of, primary_keys
from ..contract.sansio import run
from ..search.base import Search
from ..search.excerpts import attach_excerpt
from ..search.live_chunks import chunk_texts
from ..search.ranking import Hit

__all__ = ["SemanticQueryCompiler"]

#: Stands for a query that all objects match.
EVERYTHING = object()


class SemanticQueryCompiler(BaseSearchQueryCompiler):
    """A query on a queryset. All slices of the results share a compiler, and so one search."""

    HANDLES_ORDER_BY_EXPRESSIONS = True

    def __init__(self, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self._keys: list[str] | None = None
        self._hits: dict[str, Hit] = {}
        self._made: Search | None = None

    def check(self) -> None:
        """Refuse queries that a search by meaning cannot answer. Any filter is allowed.

        Raises:
            SearchFieldError: the query is limited to some fields.
            NotImplementedError: the query negates a text, or is of an unknown kind.
        """
        if self.fields:
            raise SearchFieldError(
                "A search by meaning cannot be limited to some fields. Leave out 'fields', or"
                " choose another search backend.",
                field_name=self.fields[0],
            )
        text_of(self.query)

    def keys(self, backend: Any) -> list[str]:
        """Return the keys of the objects found, in order. The search runs only once."""
        if self._keys is None:
            self._keys = self._find(backend)
        return self._keys

    def load(self, backend: Any, keys: list[str]) -> dict[str, Any]:
        """Return the objects with these keys that may be seen now, loaded through the queryset.

        They have scores and excerpts, as the results of `VectorIndex.search` have. If the query
        has no text, the scores are None and the excerpts are empty.
        """
        search = self._search(backend)
        queryset: Any = search.within
        found = fetched(queryset.filter(pk__in=primary_keys(queryset.model, keys)).order_by())
        objects = {key_of(queryset.model, instance.pk): instance for instance in found}
        visible = search.still_visible(list(objects))
        texts = chunk_texts([self._hits[key].document for key in visible if key in self._hits])
        for key in visible:
            hit = self._hits.get(key)
            objects[key].vector_score = None if hit is None else hit.score
            attach_excerpt(objects[key], texts.get(hit.document, "") if hit else "", search.text)
        return {key: instance for key, instance in objects.items() if key in visible}

    def _search(self, backend: Any) -> Search:
        """Return the index's search, which is asked for once: a site may have overridden it."""
        if self._made is None:
            text = text_of(self.query)
            self._made = backend.text_search(text if isinstance(text, str) else "", self.queryset)
        return self._made

    def _find(self, backend: Any) -> list[str]:
        text = text_of(self.query)
        search = self._search(backend)
        if text is None:
            return []
        if text is EVERYTHING:
            return self._visible(search)
        if self.order_by_relevance:
            self._hits = {hit.key: hit for hit in run(search.steps())}
            return list(self._hits)
        self._hits = {hit.key: hit for hit in run(search.ranking())[: search.limit]}
        model = self.queryset.model
        if not is_independent(self.queryset):
            return [key for key in self._ordered(self.queryset) if key in self._hits]
        return self._ordered(self.queryset.filter(pk__in=primary_keys(model, self._hits)))

    def _visible(self, search: Search) -> list[str]:
        keys = self._ordered(self.queryset)
        visible = search.still_visible(keys)
        return [key for key in keys if key in visible]

    def _ordered(self, queryset: Any) -> list[str]:
        """Return the keys of a queryset's objects, each once, in an order that never changes."""
        if not queryset.ordered and not queryset.query.is_sliced:
            queryset = queryset.order_by("-pk")
        pks = queryset.values_list("pk", flat=True)
        return list(dict.fromkeys(key_of(queryset.model, pk) for pk in pks))


def text_of(query: Any) -> Any:
    """Return the text of a query, or `EVERYTHING`, or None if no object matches the query.

    A search by meaning cannot tell And from Or between texts, so it joins the texts.

    Raises:
        NotImplementedError: the query negates a text, or is of an unknown kind.
    """
    if isinstance(query, PlainText | Phrase | Fuzzy):
        return str(query.query_string)  # it may be a lazy translation
    if isinstance(query, MatchAll):
        return EVERYTHING
    if isinstance(query, Boost):
        return text_of(query.subquery)
    if isinstance(query, Not):
        return _negated(text_of(query.subquery))
    if isinstance(query, And | Or):
        return _connected(query)
    raise NotImplementedError(
        f"A search by meaning cannot use {type(query).__name__}. Pass a text, or PlainText()."
    )


def _negated(text: Any) -> Any:
    if isinstance(text, str):
        raise NotImplementedError(
            "A search by meaning cannot exclude the objects near to a text. Remove Not()."
        )
    return EVERYTHING if text is None else None


def _connected(query: Any) -> Any:
    # One decisive part determines the result of all; neutral parts do not change it.
    decisive, neutral = (None, EVERYTHING) if isinstance(query, And) else (EVERYTHING, None)
    texts = [text_of(subquery) for subquery in query.subqueries]
    if any(text is decisive for text in texts):
        return decisive
    return " ".join(text for text in texts if text is not neutral) or neutral
