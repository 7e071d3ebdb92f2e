"""The conformance suite for reranking backends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from functools import partial

from wagtail_vector_index.reranking.base import RerankingBackend

from .expect import expect, expect_equal, expect_messages
from .instance import THREADS, OneBackend
from .spawning import in_new_process

__all__ = ["RerankingBackendConformance"]

#: How much two scores of the same text may differ: a model's arithmetic is rounded.
RELATIVE, ABSOLUTE = 0.02, 0.001


class RerankingBackendConformance(OneBackend[RerankingBackend]):
    """The rules that every reranking backend must keep.

    Derive a test class from it that defines `make_backend`. The texts are few and short, so
    that a test of a service that costs money stays cheap. For a model that doesn't know English,
    also set `query`, `answer` and `others`.

    Example::

        class TestAcme(RerankingBackendConformance):
            def make_backend(self):
                return AcmeReranker("default", AcmeReranker.Options(model="small"))
    """

    #: What is searched for.
    query = "How do I bake bread?"
    #: The text that answers it.
    answer = "To bake bread, knead flour, water and salt, and bake it for an hour."
    #: Texts that don't answer it.
    others: Sequence[str] = (
        "The shop opens at eight from Monday to Friday.",
        "Straße, naïve, Ελλάδα, Конституция, العربية, हिन्दी, 国民主権",
        "👩‍👩‍👧 🎉",
        "first line\n\n\tsecond line",
        "https://example.com/a/path?of=a&page=2#top",
    )

    def make_backend(self) -> RerankingBackend:
        """Make a new instance of the backend under test. Override this."""
        return super().make_backend()

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Return the scores of texts as floats."""
        return [float(score) for score in self.backend.rerank(self.query, texts)]

    def test_one_number_for_each_text(self) -> None:
        for texts in ([self.answer], [self.answer, *self.others]):
            scores = self.scores(texts)
            expect_equal(len(scores), len(texts), "Each text has a score.")
            for text, score in zip(texts, scores, strict=True):
                expect(math.isfinite(score), f"The score of {text!r} is {score}.")

    def test_the_answer_has_the_highest_score(self) -> None:
        rule = "A text that answers the query has a higher score than one that doesn't."
        for before in (0, 1, len(self.others)):
            scores = self.scores([*self.others[:before], self.answer, *self.others[before:]])
            expect_equal(scores.index(max(scores)), before, f"{rule} Its position doesn't matter.")

    def test_each_score_belongs_to_its_text(self) -> None:
        texts = [self.answer, *self.others]
        rule = "Scores come in the order of the texts."
        expect_same(self.scores(texts[::-1]), self.scores(texts)[::-1], rule)

    def test_a_text_twice(self) -> None:
        one, _, other = self.scores([self.answer, self.others[0], self.answer])
        expect_same([other], [one], "A text that comes twice has its score twice.")

    def test_instances_agree(self) -> None:
        texts = [self.answer, *self.others[:1]]
        before = self.scores(texts)
        other = self.make_backend()
        try:
            rule = "Two instances with the same options return the same scores."
            expect_same(other.rerank(self.query, texts), before, rule)
        finally:
            other.close()

    def test_processes_agree(self) -> None:
        texts = [self.answer, *self.others[:1]]
        # Before the backend exists: the new process makes its own.
        found = in_new_process(self.scores, texts)
        rule = "Two processes return the same scores. The hash() of a text differs among them."
        expect_same(found, self.scores(texts), rule)

    def test_close_and_use_again(self) -> None:
        texts = [self.answer, *self.others[:1]]
        before = self.scores(texts)
        self.backend.close()
        self.backend.close()
        expect_same(self.scores(texts), before, "A backend can be used after close().")

    def test_check(self) -> None:
        expect_messages(self.backend.check())

    def test_asynchronously(self) -> None:
        texts = [self.answer, *self.others]
        found = asyncio.run(self.backend.arerank(self.query, texts))
        expect_same(found, self.scores(texts), "arerank() returns the same as rerank().")

    def test_first_use_in_several_threads(self) -> None:
        texts = [self.answer, *self.others]
        backend = self.backend
        for found in self.at_once([partial(backend.rerank, self.query, texts)] * THREADS):
            rule = "Several threads may be the first to use a backend."
            expect_same(found, self.scores(texts), rule)


def expect_same(found: Sequence[float], expected: Sequence[float], rule: str) -> None:
    """Fail unless these scores are the same, up to the rounding of a model's arithmetic."""
    expect_equal(len(found), len(expected), rule)
    for row, (one, other) in enumerate(zip(found, expected, strict=True)):
        expect(
            math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE),
            f"{rule}\n  The scores of text {row} are {one} and {other}.",
        )
