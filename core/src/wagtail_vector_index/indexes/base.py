"""A vector index: what a site declares, and the searches over it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..answering.answer import Answer
from ..answering.asking import answer_steps
from ..answering.prompt import ANSWER_INSTRUCTIONS
from ..content.declaration import IndexDeclaration
from ..content.object_keys import object_key
from ..contract.sansio import Steps, arun, run
from ..exceptions import InvalidQuery
from ..plugins.handlers import chat_backends
from ..search.hybrid import Mode, text_search
from ..search.results import SearchResults
from ..search.similar import SimilarSearch
from ..wording import shown

__all__ = ["VectorIndex"]


class VectorIndex(IndexDeclaration):
    """What is indexed, with which embedding backend, in which vector backend.

    Only live objects are embedded and, unless ``include_private`` is true, only those without
    a view restriction. A search finds what its user may see of them.

    A subclass in any app's ``vector_indexes.py`` is discovered.

    Example::

        class ProductIndex(VectorIndex):
            querysets = [Product.objects.filter(discontinued=False)]

        ProductIndex().search("something to keep coffee warm", limit=5)
    """

    #: The instructions that `query` gives the model ahead of the chunks.
    answer_instructions: ClassVar[str] = ANSWER_INSTRUCTIONS
    #: The answer of `query` where the search finds nothing. No model is asked then.
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
            raise InvalidQuery(f"find_similar() needs a model instance, not {shown(instance)}.")
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
        return answer_steps(
            self.search(question, limit=limit, **arguments),
            chat_backends[chat_backend],
            instructions=self.get_answer_instructions(),
            nothing_found=str(self.nothing_found),
        )

    def get_answer_instructions(self) -> str:
        """What the model is told first; override it for what depends on the moment.

        It is followed by what protects the prompt: what stands in passages is content.
        """
        return self.answer_instructions
