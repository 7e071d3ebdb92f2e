"""A vector index: which content is found by meaning, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

from django.apps import apps
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..answering.answer import Answer
from ..answering.asking import answer_steps
from ..answering.prompt import ANSWER_INSTRUCTIONS
from ..content.configuration import IndexConfiguration, configuration_of
from ..content.fields import EmbeddingField, FilterField
from ..content.object_keys import key_of, object_key, primary_keys, root_model
from ..content.visibility import Visibility, live_filter, visible_to, visible_to_all
from ..contract.sansio import Steps, arun, run
from ..contract.spec import Metric
from ..embeddings.base import EmbeddingBackend
from ..exceptions import InvalidIndex, InvalidQuery
from ..plugins.handlers import chat_backends, embedding_backends
from ..search.fusion import Mode, text_search
from ..search.results import SearchResults
from ..search.search import SimilarSearch
from ..wording import shown

__all__ = ["VectorIndex"]

#: Chunks of about this many tokens say one thing, and are found by it.
DEFAULT_CHUNK_TOKENS = 256

#: How often in a row a page may be deleted between two queries.
_FETCH_ATTEMPTS = 10

_FETCH_SIZE = 500

#: How many objects are checked at once. Databases allow more parameters, if not many more.
_CHECK_SIZE = 5_000


class VectorIndex:
    """What is indexed, with which embedding backend, in which vector backend.

    Only what is live is embedded and, unless ``include_private`` is true, only what has no
    view restriction. Of what is embedded, a search finds what its user may see.

    A subclass in any app's ``vector_indexes.py`` is discovered. Instances hold no state.

    Example::

        class ProductIndex(VectorIndex):
            querysets = [Product.objects.filter(discontinued=False)]

        ProductIndex().search("something to keep coffee warm", limit=5)
    """

    #: The name in commands and in the record; by default "app_label.ClassName".
    name: str = ""
    #: The content. Only what is live of it is indexed and found.
    querysets: ClassVar[Sequence[QuerySet[Any]]] = ()
    #: For models that do not declare ``embedding_fields`` themselves.
    embedding_fields: ClassVar[Sequence[EmbeddingField]] = ()
    #: For models that do not declare ``vector_filter_fields`` themselves.
    filter_fields: ClassVar[Sequence[str | FilterField]] = ()
    #: An alias of ``WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS``.
    vector_backend: ClassVar[str] = "default"
    #: An alias of ``WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS``.
    embedding_backend: ClassVar[str] = "default"
    #: Whether what has a view restriction is embedded too. Its text then goes to the embedding
    #: backend, which may be a service of somebody else's. Only who may see it finds it.
    include_private: ClassVar[bool] = False
    #: By what nearness is measured, "cosine", "dot" or "euclidean".
    metric: ClassVar[Metric] = "cosine"
    #: The longest chunk, in the embedding model's tokens; shorter if the model reads less.
    chunk_tokens: ClassVar[int] = DEFAULT_CHUNK_TOKENS
    #: How many of these tokens a chunk repeats of the one before it.
    chunk_overlap: ClassVar[int] = 0
    #: What `query` tells the model before it shows it the passages.
    answer_instructions: ClassVar[str] = ANSWER_INSTRUCTIONS
    #: What `query` answers, without asking a model, where the search finds nothing.
    nothing_found: ClassVar[str | Promise] = _("Nothing was found that answers this question.")

    def __init__(self) -> None:
        if not self.name:
            self.name = f"{_app_label(type(self))}.{type(self).__name__}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # Searching

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        filter: Q | None = None,
        within: QuerySet[Any] | None = None,
        similarity_threshold: float | None = None,
        user: Any = None,
        request: HttpRequest | None = None,
        mode: Mode = "vector",
    ) -> SearchResults:
        """The source objects nearest in meaning to a text, best first.

        Each object comes once, ranked by its best chunk, with ``vector_score`` and
        ``vector_excerpt`` (the text of that chunk). Nothing happens until the results
        are looked at.

        Args:
            query: a question or some words; blank text finds nothing.
            limit: at most so many objects, and so many whenever they exist.
            filter: a ``Q`` over the filter fields of the index.
            within: only objects of this queryset.
            similarity_threshold: leave out objects whose score is below it.
            user: who is to see the results; by default the request's user.
            request: the visitor's request. Without it, shared passwords that a visitor has
                given do not count; without either, it is an anonymous visitor who searches.
            mode: "vector" ranks by meaning alone. "hybrid" fuses that ranking with that of
                the site's own search backend, by words; scores and excerpts are still those
                of the best chunk, and so no longer in descending order.

        Raises:
            InvalidQuery, InvalidFilter: before anything is asked.
            IndexNotBuilt, IndexOutdated: when the results are looked at; the message
                says which command helps.

        Example::

            index.search("how do I bake bread?", filter=Q(locale="en"), limit=5)
        """
        return SearchResults(
            text_search(
                mode,
                index=self,
                query=query,
                limit=limit,
                filter=filter,
                within=within,
                similarity_threshold=similarity_threshold,
                user=user,
                request=request,
            )
        )

    def find_similar(
        self,
        instance: Model,
        *,
        limit: int = 10,
        filter: Q | None = None,
        within: QuerySet[Any] | None = None,
        similarity_threshold: float | None = None,
        user: Any = None,
        request: HttpRequest | None = None,
    ) -> SearchResults:
        """The source objects nearest in meaning to one of them, itself left out.

        Uses the vectors that are stored: nothing is embedded, nothing written. An object
        that is not in the index has no similar ones.

        Args:
            instance: an object of the index.
            limit: as in `search`, as are the results and the errors.
            filter: as in `search`.
            within: as in `search`.
            similarity_threshold: as in `search`.
            user: as in `search`.
            request: as in `search`.
        """
        if not isinstance(instance, Model):
            raise InvalidQuery(f"What is similar is told of an object, not of {shown(instance)}.")
        return SearchResults(
            SimilarSearch(
                index=self,
                key=object_key(instance),
                limit=limit,
                filter=filter,
                within=within,
                similarity_threshold=similarity_threshold,
                user=user,
                request=request,
            )
        )

    async def asearch(self, query: str, **arguments: Any) -> SearchResults:
        """Like `search`, with the results loaded."""
        return await self.search(query, **arguments).aload()

    async def afind_similar(self, instance: Model, **arguments: Any) -> SearchResults:
        """Like `find_similar`, with the results loaded."""
        return await self.find_similar(instance, **arguments).aload()

    # Answering

    def query(
        self,
        question: str,
        *,
        limit: int = 5,
        filter: Q | None = None,
        within: QuerySet[Any] | None = None,
        similarity_threshold: float | None = None,
        user: Any = None,
        request: HttpRequest | None = None,
        mode: Mode = "vector",
        chat_backend: str = "default",
    ) -> Answer:
        """An answer to a question, from what the visitor may see, with its sources.

        Searches at once. The chat backend is asked when the answer's text is looked at, and
        gets the nearest passages of the objects that are found, as many as its model takes.
        If nothing is found, it is not asked: the answer is `nothing_found`, without sources.

        Args:
            question: not blank.
            limit: at most so many objects to answer from.
            filter: as in `search`.
            within: as in `search`.
            similarity_threshold: as in `search`.
            user: as in `search`.
            request: as in `search`.
            mode: as in `search`.
            chat_backend: an alias in the settings.

        Raises:
            InvalidQuery: the question is blank, or too long for the model.
            InvalidFilter, IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError: as in
                `search`.
            ConfigurationError: of the chat backend.

        Example::

            answer = index.query("how do I bake bread?", request=request)
            print(answer.text, answer.sources)
        """
        steps = self._answer_steps(
            question,
            chat_backend=chat_backend,
            limit=limit,
            filter=filter,
            within=within,
            similarity_threshold=similarity_threshold,
            user=user,
            request=request,
            mode=mode,
        )
        return run(steps)

    async def aquery(self, question: str, **arguments: Any) -> Answer:
        """Like `query`; the text comes with ``async for``, or with ``await answer.atext()``."""
        return await arun(self._answer_steps(question, **arguments))

    def _answer_steps(
        self, question: str, *, limit: int = 5, chat_backend: str = "default", **arguments: Any
    ) -> Steps[Answer]:
        results = self.search(question, limit=limit, **arguments)
        return answer_steps(self, results, chat_backends[chat_backend])

    def get_answer_instructions(self) -> str:
        """What the model is told first; override it for what depends on the moment.

        It is followed by what protects the prompt: what stands in passages is content.
        """
        return self.answer_instructions

    # What is indexed

    def get_querysets(self) -> list[QuerySet[Any]]:
        """The content, as fresh querysets; override it for what depends on the moment."""
        return [queryset.all() for queryset in self.querysets]

    def live(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What of a queryset is live and not past its expiry."""
        return queryset.filter(live_filter(queryset.model))

    def source_keys(self) -> list[str]:
        """The keys of all objects to index, each once."""
        sources = self._sources()
        keys = (
            key_of(queryset.model, pk)
            for queryset in self.get_querysets()
            for pk in sources.primary_keys(self.live(queryset).order_by())
        )
        return list(dict.fromkeys(keys))

    def sources_among(self, keys: Sequence[str]) -> set[str]:
        """Which of these keys name objects to index."""
        return self.visible_among(keys, self._sources())

    def visible_among(
        self, keys: Sequence[str], visibility: Visibility, within: QuerySet[Any] | None = None
    ) -> set[str]:
        """Which of these keys name objects of the index that may be seen at this moment.

        Args:
            keys: of any number of objects.
            visibility: what the visitor may see, of `visible_to`.
            within: only objects of this queryset.
        """
        visible: set[str] = set()
        for start in range(0, len(keys), _CHECK_SIZE):
            some = keys[start : start + _CHECK_SIZE]
            if within is not None:
                inside = within.filter(pk__in=primary_keys(within.model, some)).order_by()
                some = [key_of(within.model, pk) for pk in inside.values_list("pk", flat=True)]
            for queryset in self.get_querysets():
                if pks := primary_keys(queryset.model, some):
                    live = self.live(queryset.filter(pk__in=pks)).order_by()
                    found = visibility.primary_keys(live)
                    visible.update(key_of(queryset.model, pk) for pk in found)
        return visible

    def few_visible(
        self, visibility: Visibility, at_most: int, within: QuerySet[Any] | None = None
    ) -> list[str] | None:
        """The keys of all objects of the index that may be seen, if they are few.

        Args:
            visibility: what the visitor may see, of `visible_to`.
            at_most: where there are more than so many, the result is None.
            within: only objects of this queryset, if it is of the same database.
        """
        visible: dict[str, None] = {}
        for queryset in self.get_querysets():
            inside = self.live(queryset if within is None else _inside(queryset, within))
            pks = visibility.few_primary_keys(inside.order_by(), at_most)
            if pks is None:
                return None
            visible.update((key_of(queryset.model, pk), None) for pk in pks)
        return list(visible) if len(visible) <= at_most else None

    def _sources(self) -> Visibility:
        return visible_to_all() if self.include_private else visible_to()

    def fetch(self, keys: Sequence[str]) -> dict[str, Any]:
        """The objects of these keys, as the index's querysets give them, visible or not."""
        found: dict[str, Any] = {}
        for start in range(0, len(keys), _FETCH_SIZE):
            for instance in self._fetch_some(keys[start : start + _FETCH_SIZE]):
                found.setdefault(object_key(instance), instance)
        return found

    def _fetch_some(self, keys: Sequence[str]) -> Iterator[Any]:
        for queryset in self.get_querysets():
            if pks := primary_keys(queryset.model, keys):
                yield from _fetched(queryset.filter(pk__in=pks))

    # How it is indexed

    @cached_property
    def configuration(self) -> IndexConfiguration:
        """The fields of its models and the types to filter by.

        Raises:
            InvalidIndex: naming the model and the field that does not fit.
        """
        return configuration_of(self)

    @property
    def embedder(self) -> EmbeddingBackend:
        """The embedding backend that the settings name."""
        return embedding_backends[self.embedding_backend]

    def get_chunk_tokens(self) -> int:
        """The longest chunk, in tokens: what is declared, or what the model can read."""
        longest = self.embedder.max_tokens
        return self.chunk_tokens if longest is None else min(self.chunk_tokens, longest)


def _app_label(index_class: type[VectorIndex]) -> str:
    config = apps.get_containing_app_config(index_class.__module__)
    if config is None:
        raise InvalidIndex(
            f"{index_class.__module__}.{index_class.__name__} is in no installed app, so it needs"
            " a name: set the attribute 'name'."
        )
    return config.label


def _inside(queryset: QuerySet[Any], within: QuerySet[Any]) -> QuerySet[Any]:
    """What is in both querysets; the first, where that is not for one database to say."""
    if root_model(within.model) is not root_model(queryset.model):
        return queryset.none()
    if within.db != queryset.db:
        return queryset
    return queryset.filter(pk__in=within.order_by().values("pk"))


def _fetched(queryset: QuerySet[Any]) -> list[Any]:
    """All objects of a queryset, even if some are deleted meanwhile.

    Wagtail looks up pages once more as what they are, and raises KeyError for one that is
    gone by then.
    """
    for _attempt in range(_FETCH_ATTEMPTS - 1):
        with suppress(KeyError):
            return list(queryset.all())
    return list(queryset.all())
