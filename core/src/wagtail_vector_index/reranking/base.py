"""The base class of reranking backends, which score texts by how well they answer a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.options import Options as BaseOptions
from ..contract.panics import contain_panics
from ..exceptions import RerankingError

__all__ = ["RerankingBackend"]


class RerankingBackend(ABC):
    """Scores texts by how well they answer a query, as a cross-encoder does.

    A reranker reads the query and a text together. That ranks better than comparing vectors, but
    takes too long for all texts of an index. So it gets only the first candidates of a search.

    The author of a backend writes `rerank`, and overrides other methods where the model differs
    from the defaults. Creating a backend does no I/O.

    Args:
        alias: the key in the settings, which messages name.
        options: an instance of the class's ``Options``.

    Example::

        class AcmeReranker(RerankingBackend):
            def rerank(self, query, texts):
                return [acme.relevance(query, text) for text in texts]
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys in the settings other than ``BACKEND``. A backend declares its own."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        contain_panics(cls, RerankingBackend, RerankingError)

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return one score for each text, in their order; higher is better.

        Scores are compared only with the others of the same call, so they may have any scale. If
        this method raises an error, the search logs it and keeps the order from before. The
        search waits for this method, so a call of a service needs a short time-out.

        Args:
            query: the text that was searched for.
            texts: one or more chunks, as they were embedded.

        Raises:
            RerankingUnavailable: trying again later may help.
            RerankingRefused: trying again will not help.
            InvalidScores: the model or service returned something other than scores.
        """

    async def arerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Run `rerank` in a thread. A backend with an asynchronous client overrides this."""
        return await sync_to_async(self.rerank, thread_sensitive=False)(query, texts)

    def check(self) -> list[CheckMessage]:
        """Return the problems in the configuration that can be found without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Close all connections. The backend can be used again afterwards."""
