"""What Wagtail's search talks to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from django.db.models import Model
from modelsearch.backends.base import BaseSearchBackend

from ..content.object_keys import root_model
from ..contract.options import Options, parse_options
from ..exceptions import InvalidIndex, InvalidOptions, InvalidQuery
from ..indexes import VectorIndex
from ..indexes.registry import get_index
from ..search.hybrid import Mode, text_search
from ..search.text import TextSearch
from .compiling import SemanticQueryCompiler
from .results import SemanticSearchResults
from .unrestricted import unrestricted
from .updating import SemanticIndex, SemanticRebuilder

__all__ = ["SearchBackendOptions", "SemanticSearchBackend"]

WHERE = 'The search backend "wagtail_vector_index.wagtail_search"'


@dataclass(frozen=True, kw_only=True)
class SearchBackendOptions(Options):
    """What can stand beside ``BACKEND``, in capitals.

    Args:
        index: the name of the vector index.
        limit: how many objects a search finds at most.
        similarity_threshold: leave out objects whose score is below it.
        visibility: "anonymous" finds what an anonymous visitor may see; "queryset" leaves
            it to the queryset that is searched.
        mode: "vector", or "hybrid" to look for the words as well.
        auto_update: read by Wagtail; here, there is nothing to switch off.
    """

    index: str
    limit: int = 100
    similarity_threshold: float | None = None
    visibility: Literal["anonymous", "queryset"] = "anonymous"
    mode: Mode = "vector"
    auto_update: bool = True


class SemanticSearchBackend(BaseSearchBackend):
    """Ranks the objects of a queryset by their nearness in meaning to a query.

    Whatever the queryset filters by is respected, be it one of the model's search fields or
    not. There are no words to complete, to count or to negate: ``autocomplete()`` and
    ``facet()`` raise ``NotImplementedError``, as does ``Not``; ``operator`` changes nothing.

    Making one looks at no option, since Wagtail makes one with every save of every object.
    """

    #: Does it find words? Hybrid search asks a backend that does.
    finds_words = False

    query_compiler_class = SemanticQueryCompiler
    results_class = SemanticSearchResults
    index_class = SemanticIndex
    rebuilder_class = SemanticRebuilder

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self.params = params

    @cached_property
    def options(self) -> SearchBackendOptions:
        """The options, checked.

        Raises:
            InvalidOptions: naming the key and what is allowed.
        """
        return parse_options(SearchBackendOptions, self.params, WHERE)

    @cached_property
    def vector_index(self) -> VectorIndex:
        """The index that is searched.

        Raises:
            InvalidOptions: there is none of that name; the message lists what there is.
        """
        try:
            return get_index(self.options.index)
        except InvalidIndex as error:
            raise InvalidOptions(f"{WHERE}: 'INDEX': {error}") from error

    def check(self) -> None:
        """Look at all options.

        Raises:
            InvalidOptions: naming the key and what is allowed.
        """
        try:
            self.text_search("", None)
        except InvalidQuery as error:
            raise InvalidOptions(f"{WHERE}: {error}") from error

    def text_search(self, text: str, queryset: Any) -> TextSearch:
        """The search for a text in a queryset."""
        index, options = self.vector_index, self.options
        return text_search(
            options.mode,
            index=unrestricted(index) if options.visibility == "queryset" else index,
            query=text,
            limit=options.limit,
            within=queryset,
            similarity_threshold=options.similarity_threshold,
        )

    def _search(self, *arguments: Any, **kwargs: Any) -> Any:
        results = super()._search(*arguments, **kwargs)
        if results.model is not None:
            self._check_model(results.model)
        return results

    def _check_model(self, model: type[Model]) -> None:
        """Raise if no object of a model can be in the index."""
        models = [queryset.model for queryset in self.vector_index.get_querysets()]
        if root_model(model) not in map(root_model, models):
            names = ", ".join(dict.fromkeys(model._meta.label for model in models))
            raise InvalidQuery(
                f"{WHERE}: {model._meta.label} is not in {self.vector_index.name}, which holds"
                f" {names}. Search it with another backend, or add it to the index."
            )
