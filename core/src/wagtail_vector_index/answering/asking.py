"""The steps that turn a question into an answer."""

from __future__ import annotations

from collections.abc import Callable

from ..chat.base import ChatBackend
from ..contract.sansio import Steps
from ..exceptions import InvalidQuery
from ..search.results import SearchResults
from .answer import Answer
from .prompt import Prompt
from .sources import candidates, sources


def answer_steps(
    results: SearchResults,
    backend: ChatBackend,
    *,
    instructions: Callable[[], str],
    nothing_found: Callable[[], str],
) -> Steps[Answer]:
    """Search, choose the chunks, and return an answer that will call the chat backend.

    Both callables may read the database: an asynchronous caller runs these steps in a thread.

    Args:
        results: the results of a search for the question.
        backend: the chat backend to call.
        instructions: returns the instructions for the model.
        nothing_found: returns the answer if the search finds nothing.

    Raises:
        InvalidQuery: the question is blank, or too long.
        IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError
    """
    question = results.search.text
    if not question:
        raise InvalidQuery("The question is blank. Ask something.")
    prompt = Prompt(backend, instructions(), question)
    chosen = prompt.fit((yield from candidates(results)))
    if not chosen:
        return Answer(sources=(), backend=backend, text=nothing_found())
    return Answer(sources=sources(chosen), backend=backend, messages=prompt.messages(chosen))
