"""Asks an index questions in every mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import translation

from ...content.language import language_of
from ...content.text import clean_text
from ...content.visibility import Visibility
from ...contract.sansio import run
from ...indexes import VectorIndex
from ...indexing.failures import error_text
from ...search.word_search import word_scores
from .measures import DEPTH

__all__ = ["MODES", "Asked", "Evaluation", "evaluate"]

MODES = ("vector", "hybrid", "words")


@dataclass(kw_only=True)
class Asked:
    """What a question found.

    Args:
        text: the question.
        right: the keys of its right answers; none if nothing should be found.
        found: the keys of the first objects found, best first, by mode.
        scores: the vector scores of objects, by their keys.
        best: the highest vector score of all objects; None if nothing was found.
    """

    text: str
    right: frozenset[str]
    found: dict[str, list[str]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    best: float | None = None

    @property
    def failed(self) -> list[str]:
        """The modes that found no right answer."""
        return [mode for mode, keys in self.found.items() if self.right.isdisjoint(keys)]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What all questions found, and why words were not measured, if they were not."""

    asked: list[Asked]
    words_problem: str = ""

    @property
    def answerable(self) -> list[Asked]:
        """The questions that have a right answer."""
        return [one for one in self.asked if one.right]

    @property
    def right(self) -> list[float]:
        """The scores of right answers."""
        return [one.scores[key] for one in self.asked for key in one.right if key in one.scores]

    @property
    def wrong(self) -> list[float]:
        """The scores of the other objects that were found for questions with an answer."""
        return [
            one.scores[key]
            for one in self.answerable
            for key in one.found["vector"]
            if key not in one.right
        ]

    @property
    def unrelated(self) -> list[float]:
        """The best scores of questions without an answer.

        Without such questions, the scores of the right answers to all other questions.
        """
        if unanswerable := [one for one in self.asked if not one.right]:
            return [one.best for one in unanswerable if one.best is not None]
        answers = frozenset[str]().union(*(one.right for one in self.asked))
        return [
            score
            for one in self.asked
            for key, score in one.scores.items()
            if key in answers and key not in one.right
        ]


def evaluate(
    index: VectorIndex,
    questions: Sequence[tuple[str, frozenset[str]]],
    visibility: Visibility,
    user: Any,
) -> Evaluation:
    """Ask all questions in every mode, as the user would, in the language of the right answer.

    The language is ``LANGUAGE_CODE`` for a question without an answer, or with right answers in
    several languages.

    Args:
        index: the index.
        questions: each question, with the keys of its right answers.
        visibility: what the user may see.
        user: the user; None for an anonymous visitor.

    Raises:
        VectorIndexError: for the same reasons as a search.
    """
    answers = sorted(frozenset[str]().union(*(right for _, right in questions)))
    are_answers = Q(object__in=answers)
    asked = [Asked(text=text, right=right) for text, right in questions]
    problem = ""
    languages = _languages(index, answers)
    for one in asked:
        with translation.override(_language(one, languages)):
            _ask(index, one, are_answers, len(answers), user)
            if not problem:
                try:
                    one.found["words"] = _by_words(index, one.text, visibility)
                except Exception as error:  # noqa: BLE001  # the site's search backend may raise any
                    problem = error_text(error)
    return Evaluation(asked=asked, words_problem=problem)


def _ask(index: VectorIndex, one: Asked, are_answers: Q, count: int, user: Any) -> None:
    """Ask one question by meaning, and by meaning and words."""
    search = index.search(one.text, limit=DEPTH, user=user).search
    ranking = run(search.ranking())
    one.best = ranking[0].score if ranking else None
    nearest = run(search.reranked(ranking))[:DEPTH]
    # Of these only the scores count, so they are not reranked.
    found = index.search(one.text, limit=count, filter=are_answers, user=user)
    one.scores = {hit.key: hit.score for hit in run(found.search.ranking())}
    one.scores |= {hit.key: hit.score for hit in nearest}
    one.found["vector"] = [hit.key for hit in nearest]
    hybrid = index.search(one.text, limit=DEPTH, user=user, mode="hybrid").search
    one.found["hybrid"] = [hit.key for hit in run(hybrid.steps())]


def _languages(index: VectorIndex, keys: list[str]) -> dict[str, str]:
    """Return the language of each object, by its key."""
    return {key: language_of(instance) for key, instance in index.fetch(keys).items()}


def _language(one: Asked, languages: dict[str, str]) -> str:
    """Return the language in which a question is asked."""
    found = {languages[key] for key in one.right if key in languages}
    return found.pop() if len(found) == 1 else settings.LANGUAGE_CODE


def _by_words(index: VectorIndex, text: str, visibility: Visibility) -> list[str]:
    keys = list(word_scores(index, clean_text(text)))
    visible = index.visible_among(keys, visibility)
    return [key for key in keys if key in visible][:DEPTH]
