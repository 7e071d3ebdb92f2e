"""The backend class that Wagtail's search calls, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from modelsearch.backends.base import BaseSearchBackend, EmptySearchResults

from ..content.object_keys import root_model
from ..contract.options import Options, parse_options
from ..exceptions import InvalidIndex, InvalidOptions, InvalidQuery
from ..indexes import VectorIndex
from ..indexes.registry import get_index
from ..search.base import Search
from ..search.hybrid_search import Mode
from .compiling import SemanticQueryCompiler
from .results import SemanticSearchResults
from .unrestricted import unrestricted
from .updating import SemanticIndex, SemanticRebuilder

__all__ = ["SearchBackendOptions", "SemanticSearchBackend"]

WHERE = 'The search backend "wagtail_vector_index.wagtail_search"'


@dataclass(frozen=True, kw_only=True)
class SearchBackendOptions(Options):
    """The options beside ``BACKEND``, whose keys are in capitals in the settings.

    Args:
        index: the name of the vector index.
        limit: the most objects that a search finds.
        similarity_threshold: the lowest score; objects with a lower score are left out.
        visibility: "anonymous" finds only objects that an anonymous visitor may see; "queryset"
            finds all objects of the queryset that is searched.
        mode: "vector", or "hybrid" to search for the query's words as well.
        auto_update: an option that Wagtail reads; it has no effect on the vector index.
    """

    index: str
    limit: int = 100
    similarity_threshold: float | None = None
    visibility: Literal["anonymous", "queryset"] = "anonymous"
    mode: Mode = "vector"
    auto_update: bool = True


class SemanticSearchBackend(BaseSearchBackend):
    """Ranks the objects of a queryset by how near in meaning they are to a query.

    The queryset may filter by any field, whether or not it is one of the model's search fields.
    A search by meaning has no words to complete, count or negate. So ``autocomplete()``,
    ``facet()`` and the query ``Not`` raise ``NotImplementedError``, and ``operator`` has no
    effect.

    The options are not checked when a backend is made, since Wagtail makes a backend whenever
    an object is saved.
    """

    #: Does the backend find words? Hybrid search needs a backend that does.
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
        """The checked options.

        Raises:
            InvalidOptions: an option is wrong; the message names its key and what is allowed.
        """
        return parse_options(SearchBackendOptions, self.params, WHERE)

    @cached_property
    def vector_index(self) -> VectorIndex:
        """The index that is searched.

        Raises:
            InvalidOptions: no index has this name; the message lists the names of all indexes.
        """
        try:
            return get_index(self.options.index)
        except InvalidIndex as error:
            raise InvalidOptions(f"{WHERE}: 'INDEX': {error}") from error

    def check(self) -> None:
        """Check all options.

        Raises:
            InvalidOptions: an option is wrong; the message names its key and what is allowed.
        """
        try:
            self.text_search("", None)
        except InvalidQuery as error:
            raise InvalidOptions(f"{WHERE}: {error}") from error

    def text_search(self, text: str, queryset: Any) -> Search:
        """Return a search for a text in a queryset."""
        index, options = self.vector_index, self.options
        if options.visibility == "queryset":
            index = unrestricted(index)
        # The index's own method, which a site may have overridden.
        results = index.search(
            text,
            limit=options.limit,
            within=queryset,
            similarity_threshold=options.similarity_threshold,
            mode=options.mode,
        )
        return results.search

    def autocomplete(self, *arguments: Any, **kwargs: Any) -> Any:
        """Refuse to complete words.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "A search by meaning cannot complete words. Pass another search backend to"
            ' autocomplete(). Wagtail\'s admin takes WAGTAILSEARCH_BACKENDS["default"]: set that to'
            ' a backend that finds words, such as {"BACKEND": "wagtail.search.backends.database"}.'
        )

    def _search(self, compiler: Any, query: Any, model_or_queryset: Any, **kwargs: Any) -> Any:
        """Return the results of a query. Unlike Wagtail, find models without search fields, too.

        Raises:
            InvalidQuery: no object of the model can be in the index.
        """
        is_queryset = isinstance(model_or_queryset, QuerySet)
        queryset = model_or_queryset if is_queryset else model_or_queryset.objects.all()
        self._check_model(queryset.model)
        query = str(query) if isinstance(query, Promise) else query  # a lazy translation
        if query == "" or kwargs.get("fields") == []:
            return EmptySearchResults()
        compiled = compiler(queryset, query, **kwargs)
        compiled.check()
        return self.results_class(self, compiled)

    def _check_model(self, model: type[Model]) -> None:
        """Raise InvalidQuery if no object of a model can be in the index."""
        models = [queryset.model for queryset in self.vector_index.get_querysets()]
        if root_model(model) not in map(root_model, models):
            names = ", ".join(dict.fromkeys(model._meta.label for model in models))
            raise InvalidQuery(
                f"{WHERE}: {model._meta.label} is not in {self.vector_index.name}, which contains"
                f" {names}. Search {model._meta.label} with another search backend, or add it to"
                " the index."
            )
