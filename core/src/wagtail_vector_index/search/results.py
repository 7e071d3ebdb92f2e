"""The results of a search: lazy, sliceable, and usable in Django's Paginator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

from asgiref.sync import sync_to_async

from ..contract.sansio import Steps, arun, run
from ..exceptions import InvalidQuery
from ..models.sessions import again_if_lost
from ..models.tables import Document
from ..wording import did_you_mean
from .base import Search
from .collections import active_collection, check_built_with
from .excerpts import attach_excerpt
from .live_chunks import chunk_texts
from .ranking import Hit

_SHOWN = 5


class SearchResults(Sequence[Any]):
    """Source objects, best first, each with ``vector_score`` and ``vector_excerpt``.

    The method ``get_excerpt`` of each object cuts an `Excerpt` of any length from its best chunk.

    The search runs when the results are first used, and only once, however they are sliced.
    Objects are loaded slice by slice, unless all are loaded already. An object that the visitor
    may no longer see when it is loaded is left out. So there may be fewer objects than `count`
    says, which is their number at the time of the search.
    """

    def __init__(
        self,
        search: Search,
        windows: tuple[slice, ...] = (),
        score_name: str = "",
        loaded: Mapping[str, Any] | None = None,
    ) -> None:
        self.search = search
        self._windows = windows
        self._score_name = score_name
        #: The objects by their keys, once they are loaded.
        self._objects = None if loaded is None else self._of_these(loaded)

    def count(self, value: Any = None) -> int:
        """Return the number of objects found, which is at most the search's ``limit``.

        With an argument, return how often this object occurs, as a list's method does.
        """
        return len(self) if value is None else super().count(value)

    def __len__(self) -> int:
        return len(self._hits())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._load())

    def __reversed__(self) -> Iterator[Any]:
        return iter(self._load()[::-1])

    @overload
    def __getitem__(self, key: int) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> SearchResults: ...
    def __getitem__(self, key: int | slice) -> Any:
        """Return one object, or lazy results for a slice."""
        if isinstance(key, slice):
            windows = (*self._windows, key)
            return SearchResults(self.search, windows, self._score_name, self._objects)
        return self._load()[key]

    def annotate_score(self, name: str) -> SearchResults:
        """Return the same results, whose objects have their score under this name as well."""
        return SearchResults(self.search, self._windows, name, self._objects)

    def facet(self, field: str) -> dict[Any, int]:
        """Return how many of the objects found have each value of a filter field.

        The most frequent value comes first. An object with several values counts for each of
        them, and an object without a value for none. Only the objects of the results count, which
        are at most the search's ``limit``. It costs two queries.

        Raises:
            InvalidQuery: the index has no such filter field.
            IndexOutdated: the field was declared after the last build.

        Example::

            >>> BlogPage.vector_index.search("bread", limit=100).facet("tags")
            {'baking': 12, 'rye': 3}
        """
        fields = self.search.index.configuration.fields
        if field not in fields:
            raise InvalidQuery(
                f"{self.search.index.name} has no filter field {field!r}."
                f"{did_you_mean(field, fields)} It has: {', '.join(fields)}."
            )
        documents = [hit.document for hit in self._hits()]
        if documents:
            check_built_with(self.search.index, active_collection(self.search.index), field)
        found: Counter[Any] = Counter()
        for metadata in Document.objects.filter(pk__in=documents).values_list(
            "metadata", flat=True
        ):
            value = json.loads(metadata).get(field)
            found.update(set(value) if isinstance(value, list) else [value])
        del found[None]
        read = datetime.fromisoformat if fields[field] == "datetime" else lambda value: value
        in_order = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return {read(value): count for value, count in in_order}

    async def afacet(self, field: str) -> dict[Any, int]:
        """Run `facet` without blocking the event loop."""
        return await sync_to_async(self.facet)(field)

    def __repr__(self) -> str:
        if self.search.hits is None:
            return f"<SearchResults of {self.search.index.name}, not yet run>"
        hits = self._hits()
        more = ", …" if len(hits) > _SHOWN else ""
        return f"<SearchResults [{', '.join(hit.key for hit in hits[:_SHOWN])}{more}]>"

    async def __aiter__(self) -> AsyncIterator[Any]:
        await self.aload()
        for instance in self._load():
            yield instance

    async def aload(self) -> SearchResults:
        """Run the search and load the objects without blocking the event loop."""
        is_fresh = self._will_be_fresh
        await arun(self._steps(is_fresh=is_fresh))
        await sync_to_async(self._load)(is_fresh=is_fresh)
        return self

    def _steps(self, *, is_fresh: bool) -> Steps[list[Hit]]:
        return self.search.steps(loads=is_fresh and not self._windows)

    def _hits(self, *, is_fresh: bool = False) -> list[Hit]:
        hits = run(self._steps(is_fresh=is_fresh))
        for window in self._windows:
            hits = hits[window]
        return hits

    @property
    def _will_be_fresh(self) -> bool:
        """Whether the search has not run yet. Reranking takes its time after the check."""
        return self.search.hits is None and self.search.index.reranking_backend is None

    def _load(self, *, is_fresh: bool | None = None) -> list[Any]:
        if self._objects is None:
            is_fresh = self._will_be_fresh if is_fresh is None else is_fresh
            self._objects = self._loaded(self._hits(is_fresh=is_fresh), is_fresh=is_fresh)
        return list(self._objects.values())

    @again_if_lost
    def _loaded(self, hits: list[Hit], *, is_fresh: bool) -> dict[str, Any]:
        """Return the objects of these hits, without those that the visitor may no longer see.

        Args:
            hits: the hits.
            is_fresh: whether the search has just run, and so has just checked the objects and
                read the texts.
        """
        loaded, self.search.loaded = self.search.loaded, {}
        objects = loaded if is_fresh else {}
        if missing := [hit.key for hit in hits if hit.key not in objects]:
            objects |= self.search.index.fetch(missing)
        if not is_fresh:
            visible = self.search.still_visible(list(objects))
            objects = {key: objects[key] for key in objects if key in visible}
        texts = {hit.document: hit.text for hit in hits if is_fresh and hit.text is not None}
        if unread := [hit.document for hit in hits if hit.document not in texts]:
            texts |= chunk_texts(unread)
        for hit in hits:
            if (instance := objects.get(hit.key)) is not None:
                instance.vector_score = hit.score
                attach_excerpt(instance, texts.get(hit.document, ""), self.search.text)
        return self._of_these(objects)

    def _of_these(self, objects: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objects of these results, in order, with the score's other name."""
        chosen = {hit.key: objects[hit.key] for hit in self._hits() if hit.key in objects}
        if self._score_name:
            for instance in chosen.values():
                setattr(instance, self._score_name, instance.vector_score)
        return chosen
