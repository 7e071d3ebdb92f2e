"""The steps from a question to an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract.sansio import Steps
from ..exceptions import InvalidQuery
from .answer import Answer
from .prompt import Prompt
from .sources import candidates, sources

if TYPE_CHECKING:
    from ..chat.base import ChatBackend
    from ..indexes import VectorIndex
    from ..search.results import SearchResults


def answer_steps(index: VectorIndex, results: SearchResults, backend: ChatBackend) -> Steps[Answer]:
    """Search, choose the passages, and give what will ask the chat backend.

    Args:
        index: whose instructions to give.
        results: those of the question.
        backend: what will be asked.

    Raises:
        InvalidQuery: the question is blank, or too long.
        IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError
    """
    question = results.search.text
    if not question:
        raise InvalidQuery("The question is blank.")
    prompt = Prompt(backend, index.get_answer_instructions(), question)
    passages = prompt.fit((yield from candidates(results)))
    if not passages:
        return Answer(sources=(), backend=backend, text=str(index.nothing_found))
    return Answer(sources=sources(passages), backend=backend, messages=prompt.messages(passages))
