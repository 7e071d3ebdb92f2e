"""The declarations of a vector index: its content, its fields, and its backends."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from django.apps import apps
from django.db.models import Manager, Model, QuerySet
from django.db.models.query import ModelIterable

from ..contract.metrics import Metric
from ..contract.slices import slices
from ..embeddings.base import EmbeddingBackend
from ..exceptions import InvalidIndex
from ..plugins.handlers import embedding_backends, reranking_backends
from ..reranking.base import RerankingBackend
from .configuration import IndexConfiguration, configuration_of
from .fields import EmbeddingField, FilterField
from .independence import independent, is_independent
from .lookups import among, fetched
from .object_keys import inherits, key_of, object_key, object_keys, primary_keys, root_model
from .text.splitting import TextSplitter
from .visibility import Visibility, live_filter, visible_to, visible_to_all

__all__ = ["Fusion", "IndexDeclaration"]

Fusion = Literal["scores", "ranks"]

#: A chunk of about this many tokens has one subject, and searches for it find the chunk.
DEFAULT_CHUNK_TOKENS = 256

_FETCH_SIZE = 500

#: How many objects one query checks. Databases allow few more parameters than this.
_CHECK_SIZE = 5_000


class IndexDeclaration:
    """The content of a vector index, and the settings for indexing it.

    The code that indexes, searches and answers uses this class. Sites subclass `VectorIndex`,
    which adds the methods for searching. Instances hold no state.
    """

    #: The name in commands and in the index tables. The default is "app_label.ClassName".
    name: str = ""
    #: The content, as querysets or managers. Only its live objects are indexed and found.
    querysets: ClassVar[Sequence[QuerySet[Any] | Manager[Any]]] = ()
    #: The fields to embed, for models that do not declare ``embedding_fields`` themselves.
    embedding_fields: ClassVar[Sequence[EmbeddingField]] = ()
    #: The fields to filter by, for models without their own ``vector_filter_fields``.
    filter_fields: ClassVar[Sequence[str | FilterField]] = ()
    #: Relations of the content whose objects decide what is in ``querysets``, as paths such as
    #: ``"owner__groups"``. Only needed where a condition does not show the relation: in most
    #: subqueries, and in `get_querysets`.
    reads: ClassVar[Sequence[str]] = ()
    #: An alias of ``WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS``.
    vector_backend: ClassVar[str] = "default"
    #: An alias of ``WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS``.
    embedding_backend: ClassVar[str] = "default"
    #: Whether objects with a view restriction are embedded too. Their text then goes to the
    #: embedding backend, which may be an external service. Only visitors who may see such an
    #: object find it.
    include_private: ClassVar[bool] = False
    #: Whether vectors stay in the site's database once the vector backend has them. False saves
    #: their space there. It needs a backend that outlives the process, and what such a backend
    #: loses must be embedded again. A change takes effect with the next update.
    keep_embeddings: ClassVar[bool] = True
    #: The measure of nearness, "cosine", "dot" or "euclidean".
    metric: ClassVar[Metric] = "cosine"
    #: The longest chunk, in the embedding model's tokens; shorter if the model reads less.
    chunk_tokens: ClassVar[int] = DEFAULT_CHUNK_TOKENS
    #: How many tokens of the previous chunk a chunk repeats.
    chunk_overlap: ClassVar[int] = 0
    #: The way in which hybrid search combines the scores by meaning and by words. "scores" adds
    #: them up, weighted; "ranks" uses reciprocal rank fusion, which looks at ranks only.
    fusion: ClassVar[Fusion] = "scores"
    #: The weight of the vector scores in hybrid search, from 0 to 1. None means the weight that
    #: the embedding backend declares for its models.
    vector_weight: ClassVar[float | None] = None
    #: An alias of ``WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS``. Its backend reads the first results
    #: of a search for a text and puts them into a better order. None: results are not reranked.
    reranking_backend: ClassVar[str | None] = None
    #: The number of objects that the reranking backend gets, each with its best chunk.
    rerank_candidates: ClassVar[int] = 50
    #: The class that splits text into chunks.
    text_splitter: ClassVar[type[TextSplitter]] = TextSplitter

    def __init__(self) -> None:
        # The name may be lazy.
        self.name = str(self.name or f"{_app_label(type(self))}.{type(self).__name__}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # The content

    def get_querysets(self) -> list[QuerySet[Any]]:
        """Return the content as fresh querysets. Override it if they depend on the time."""
        return [queryset.all() for queryset in self.querysets]

    def live(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return a queryset of only the live objects that have not expired."""
        return queryset.filter(live_filter(queryset.model))

    def source_keys(self) -> list[str]:
        """Return the keys of all objects to index, each once."""
        return [key for keys in self.source_batches() for key in keys]

    def source_batches(self) -> Iterator[list[str]]:
        """Yield the keys of all objects to index, each once, some thousands at a time.

        The objects are read batch by batch, so that memory does not grow with their number.
        """
        sources = self._sources()
        earlier: list[QuerySet[Any]] = []
        for queryset in self._live_querysets():
            model = queryset.model
            overlapping = [each for each in earlier if root_model(each.model) is root_model(model)]
            for pks in sources.batches_of_primary_keys(queryset, _CHECK_SIZE):
                keys = list(dict.fromkeys(key_of(model, pk) for pk in pks))
                if known := self._visible_in(overlapping, keys, sources):
                    keys = _without(keys, known)
                if keys:
                    yield keys
            earlier.append(queryset)

    def sources_among(self, keys: Sequence[str]) -> set[str]:
        """Return the given keys that name objects to index."""
        return self.visible_among(keys, self._sources())

    def visible_among(
        self, keys: Sequence[str], visibility: Visibility, within: QuerySet[Any] | None = None
    ) -> set[str]:
        """Return the given keys that name objects of the index that the visitor may see now.

        Args:
            keys: the keys of any number of objects.
            visibility: what the visitor may see, from `visible_to`.
            within: a queryset, to return only keys of its objects.
        """
        visible: set[str] = set()
        for some in slices(keys, _CHECK_SIZE):
            inside = some if within is None else _keys_inside(some, within)
            visible |= self._visible_in(self._live_querysets(), inside, visibility)
        return visible

    def _live_querysets(self) -> list[QuerySet[Any]]:
        """Return the live content, as querysets that a filter leaves as they are otherwise."""
        return [independent(self.live(queryset)) for queryset in self.get_querysets()]

    def _visible_in(
        self, querysets: Iterable[QuerySet[Any]], keys: Sequence[str], visibility: Visibility
    ) -> set[str]:
        visible: set[str] = set()
        for queryset in querysets:
            if pks := primary_keys(queryset.model, _without(keys, visible)):
                found = visibility.primary_keys(among(queryset, pks).order_by())
                visible.update(key_of(queryset.model, pk) for pk in found)
        return visible

    def fetch_visible(self, keys: Sequence[str], visibility: Visibility) -> dict[str, Any] | None:
        """Return the objects of `visible_among`, or None if one query cannot check and load them.

        One query does that for each queryset, if its objects tell who may see them, and if no
        method of the site's own decides about them.

        Args:
            keys: the keys of any number of objects.
            visibility: what the visitor may see, from `visible_to`.
        """
        if self._decides_itself:
            return None
        concerned = (each for each in self.get_querysets() if primary_keys(each.model, keys))
        querysets = [self.live(queryset) for queryset in concerned]
        if not all(is_independent(each) and _takes_one_query(each) for each in querysets):
            return None
        # Only now, since this may read the restrictions.
        if not all(visibility.is_told_by(queryset) for queryset in querysets):
            return None
        found: dict[str, Any] = {}
        for some in slices(keys, _FETCH_SIZE):
            for queryset in querysets:
                if pks := primary_keys(queryset.model, _without(some, found)):
                    rows = among(queryset, pks).order_by()
                    objects = visibility.objects(rows)
                    found.update((object_key(each, queryset.model), each) for each in objects)
        return found

    @property
    def _decides_itself(self) -> bool:
        """Whether the site has overridden a method that decides about the objects found."""
        return any(getattr(type(self), one.__name__) is not one for one in _DECIDING)

    def few_visible(
        self, visibility: Visibility, at_most: int, within: QuerySet[Any] | None = None
    ) -> list[str] | None:
        """Return the keys of all objects of the index that the visitor may see, if they are few.

        Args:
            visibility: what the visitor may see, from `visible_to`.
            at_most: the largest number of keys. If there are more, the result is None.
            within: a queryset, to return only keys of its objects. Ignored if it belongs to
                another database.
        """
        visible: dict[str, None] = {}
        for queryset in self._live_querysets():
            inside = queryset if within is None else _inside(queryset, within)
            pks = visibility.few_primary_keys(inside.order_by(), at_most)
            if pks is None:
                return None
            visible.update((key_of(queryset.model, pk), None) for pk in pks)
        return list(visible) if len(visible) <= at_most else None

    def _sources(self) -> Visibility:
        return visible_to_all() if self.include_private else visible_to()

    def fetch(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the objects of these keys from the index's querysets, visible or not."""
        found: dict[str, Any] = {}
        for some in slices(keys, _FETCH_SIZE):
            for queryset in self.get_querysets():
                if pks := primary_keys(queryset.model, _without(some, found)):
                    rows = among(queryset, pks)
                    if not rows.query.distinct_fields:  # DISTINCT ON keeps the first rows
                        rows = rows.order_by()
                    objects = fetched(rows)
                    found.update((object_key(each, queryset.model), each) for each in objects)
        return found

    def key_of(self, instance: Model) -> str:
        """Return the key that an object has in this index."""
        first, *others = object_keys(instance)
        if others:
            own = instance.__class__
            models = [each.model for each in self.get_querysets() if inherits(own, each.model)]
            return object_key(instance, models[0] if models else None)
        return first

    # The settings for indexing

    @cached_property
    def configuration(self) -> IndexConfiguration:
        """The fields of the index's models, and the types to filter by.

        Raises:
            InvalidIndex: a declaration is wrong. The message has the model and the field.
        """
        return configuration_of(self)

    @property
    def embedder(self) -> EmbeddingBackend:
        """The embedding backend that the settings name."""
        return embedding_backends[self.embedding_backend]

    @property
    def reranker(self) -> RerankingBackend | None:
        """The reranking backend that the settings name, or None if the index has none."""
        alias = self.reranking_backend
        return None if alias is None else reranking_backends[alias]

    def get_chunk_tokens(self) -> int:
        """Return the size of the longest chunk in tokens, as declared or as the model allows."""
        longest = self.embedder.max_chunk_tokens
        return self.chunk_tokens if longest is None else min(self.chunk_tokens, longest)


#: The methods that decide which objects a visitor finds, and what they are.
_DECIDING = IndexDeclaration.visible_among, IndexDeclaration.live, IndexDeclaration.fetch


def _takes_one_query(queryset: QuerySet[Any]) -> bool:
    """Return whether one query loads its objects. Pages of specific classes take several."""
    private: Any = queryset
    is_plain = private._iterable_class is ModelIterable  # noqa: SLF001
    return is_plain and not private._prefetch_related_lookups  # noqa: SLF001


def _app_label(index_class: type[IndexDeclaration]) -> str:
    config = apps.get_containing_app_config(index_class.__module__)
    if config is None:
        raise InvalidIndex(
            f"{index_class.__module__}.{index_class.__name__} is not in an installed app, so it"
            " needs a name: set the attribute 'name'."
        )
    return config.label


def _without(keys: Sequence[str], found: Container[str]) -> list[str]:
    """Return the keys that no queryset has found yet. For the others, no query is needed."""
    return [key for key in keys if key not in found]


def _keys_inside(keys: Sequence[str], within: QuerySet[Any]) -> list[str]:
    """Return the given keys that name objects of a queryset."""
    chosen = among(within, primary_keys(within.model, keys)).order_by()
    return [key_of(within.model, pk) for pk in chosen.values_list("pk", flat=True)]


def _inside(queryset: QuerySet[Any], within: QuerySet[Any]) -> QuerySet[Any]:
    """Return the objects of both querysets, or the first one if their databases differ."""
    if root_model(within.model) is not root_model(queryset.model):
        return queryset.none()
    if within.db != queryset.db:
        return queryset
    return queryset.filter(pk__in=within.order_by().values("pk"))
