"""The base class of vector indexes, which sites declare and search."""

from __future__ import annotations

from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..answering.answer import Answer
from ..answering.asking import answer_steps
from ..answering.prompt import ANSWER_INSTRUCTIONS
from ..content.declaration import IndexDeclaration
from ..contract.sansio import Steps, arun, run
from ..exceptions import InvalidQuery
from ..plugins.handlers import chat_backends
from ..search.hybrid_search import Mode, text_search
from ..search.results import SearchResults
from ..search.similar_search import SimilarSearch
from ..wording import shown

__all__ = ["VectorIndex"]


class VectorIndex(IndexDeclaration):
    """An index over the objects of some querysets, which can be searched by meaning.

    The attributes declare the content, the embedding backend and the vector backend. Only live
    objects are embedded. Objects with a view restriction are embedded only if
    ``include_private`` is true. A search finds only objects that its user may see.

    Subclasses in any app's ``vector_indexes.py`` are discovered automatically.

    A subclass may override these methods, if it takes the same arguments and returns what
    ``super()`` returns:

    - `search` and `find_similar`, for instance to add a filter to every search. All that finds
      objects calls them: the asynchronous methods, `query`, the template tags, the panel of
      similar pages, Wagtail's search and API, the admin and the commands. Wagtail's
      ``MATCH_ALL`` searches for nothing, so a filter that is added has no effect there.
    - `get_querysets`, if the content depends on the time or on the database.
    - `get_answer_instructions`, if the instructions of `query` do.

    Example::

        class ProductIndex(VectorIndex):
            querysets = [Product.objects.filter(discontinued=False)]

        ProductIndex().search("something to keep coffee warm", limit=5)
    """

    #: An alias of ``WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS``, which `query` asks. It need not exist in
    #: an index that answers no questions.
    chat_backend: ClassVar[str] = "default"
    #: The instructions that `query` sends to the model ahead of the chunks.
    answer_instructions: ClassVar[str] = ANSWER_INSTRUCTIONS
    #: The answer of `query` if the search finds nothing. The model is not asked then.
    nothing_found: ClassVar[str | Promise] = _("Nothing was found that answers this question.")

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
        """Return the source objects nearest in meaning to a text, best first.

        Each object comes once, with ``vector_score`` and ``vector_excerpt``. The score mixes
        that of its best chunk with that of its first chunk, which has its title and beginning.
        The excerpt is the text of the best chunk. If the index has a `reranking_backend`, it
        decides the order of the first results; the scores stay. The search runs when the results
        are first used.

        Args:
            query: a question or some words; blank text finds nothing.
            limit: the most objects to return. Fewer are returned only if no more exist.
            filter: a ``Q`` over the filter fields of the index.
            within: a queryset; only its objects are found.
            similarity_threshold: the lowest ``vector_score``; objects with a lower score are
                left out.
            user: the user who will see the results; by default the request's user.
            request: the visitor's request. Without it, shared passwords that a visitor has
                entered do not count. Without a request and a user, the visitor is anonymous.
            mode: "vector" ranks by meaning alone. "hybrid" combines this with the words that
                the site's own search backend finds, as `fusion` and `vector_weight` say. Scores
                and excerpts are the same, so the scores are no longer in descending order.

        Raises:
            InvalidQuery, InvalidFilter: an argument is wrong; raised by the call itself.
            IndexNotBuilt, IndexOutdated: raised when the results are first used, as all that
                follow; the message says which command to run.
            EmbeddingError, BackendError: a service cannot be reached, or refuses the search.
            ConfigurationError: the index or a backend is not configured, or configured wrongly.

        All of them are a `VectorIndexError`. If the reranking backend fails, the results keep the
        order they had before, and the error is logged.

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
        """Return the source objects nearest in meaning to an object, without that object.

        The search uses the stored vectors. It embeds nothing and writes nothing. For an object
        that is not in the index, the results are empty. Results and errors are those of
        `search`.

        Args:
            instance: an object of the index.
            limit: as in `search`.
            filter: as in `search`.
            within: as in `search`.
            similarity_threshold: as in `search`.
            user: as in `search`.
            request: as in `search`.
        """
        if not isinstance(instance, Model):
            raise InvalidQuery(f"find_similar() needs a model instance, not {shown(instance)}.")
        return SearchResults(
            SimilarSearch(
                index=self,
                key=self.key_of(instance),
                limit=limit,
                filter=filter,
                within=within,
                similarity_threshold=similarity_threshold,
                user=user,
                request=request,
            )
        )

    async def asearch(
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
        """Run `search` without blocking the event loop, and return the loaded results."""
        # What the querysets of the index and of the arguments are may be read from the database.
        results = await sync_to_async(self.search)(
            query,
            limit=limit,
            filter=filter,
            within=within,
            similarity_threshold=similarity_threshold,
            user=user,
            request=request,
            mode=mode,
        )
        return await results.aload()

    async def afind_similar(
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
        """Run `find_similar` without blocking the event loop, and return the loaded results."""
        results = await sync_to_async(self.find_similar)(
            instance,
            limit=limit,
            filter=filter,
            within=within,
            similarity_threshold=similarity_threshold,
            user=user,
            request=request,
        )
        return await results.aload()

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
        chat_backend: str | None = None,
    ) -> Answer:
        """Return an answer to a question, with its sources, from objects that the visitor may see.

        The search runs at once. The chat backend is called when the answer's text is first
        read. It gets the nearest chunks of the objects found, about three for each, as far as
        they fit its model. If the search finds nothing, the chat backend is not called, and the
        answer is `nothing_found`, without sources.

        Args:
            question: the question; it must not be blank.
            limit: the most objects to answer from.
            filter: as in `search`.
            within: as in `search`.
            similarity_threshold: as in `search`.
            user: as in `search`.
            request: as in `search`.
            mode: as in `search`.
            chat_backend: the alias of a chat backend in the settings, instead of the index's own.

        Raises:
            InvalidQuery: the question is blank, or too long for the model.
            InvalidFilter, IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError: as in
                `search`.
            ConfigurationError: the chat backend is not configured, or configured wrongly.

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

    async def aquery(
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
        chat_backend: str | None = None,
    ) -> Answer:
        """Run `query` without blocking the event loop.

        Read the text with ``async for``, or with ``await answer.atext()``.
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
        return await arun(steps)

    def _answer_steps(
        self, question: str, *, chat_backend: str | None, **arguments: Any
    ) -> Steps[Answer]:
        steps = answer_steps(
            self.search(question, **arguments),
            chat_backends[self.chat_backend if chat_backend is None else chat_backend],
            instructions=self.get_answer_instructions,
            nothing_found=lambda: str(self.nothing_found),
        )
        return (yield from steps)

    def get_answer_instructions(self) -> str:
        """Return the instructions for the model. Override this method to compute them.

        The prompt adds rules after them, which say that chunks are content, not instructions.
        """
        return self.answer_instructions
