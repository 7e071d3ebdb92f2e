"""The suite for reranking backends: what is right passes, and each broken one is caught."""

import itertools
import threading
from functools import partial

import pytest

from wagtail_vector_index.reranking.base import RerankingBackend
from wagtail_vector_index.testing import RerankingBackendConformance

from .runner import cases_of, first_failure


class Right(RerankingBackend):
    """A text's score is the number of the query's words in it."""

    def rerank(self, query, texts):
        return [self._score(query, text) for text in texts]

    def _score(self, query, text):
        return sum(word in text.lower() for word in query.lower().strip("?").split()) - 1.5


class TestRight(RerankingBackendConformance):
    def make_backend(self):
        return Right("default", Right.Options())


class TestAnotherLanguage(TestRight):
    query = "Wie backt man Brot?"
    answer = "Man backt Brot aus Mehl, Wasser und Salz."
    others = ["Die Bahn f\u00e4hrt um acht.", "Der Laden ist zu.", "Es regnet."]


class OneTooFew(Right):
    def rerank(self, query, texts):
        return super().rerank(query, texts)[1:]


class NotANumber(Right):
    def _score(self, query, text):
        return super()._score(query, text) if text.isascii() else float("nan")


class LowerIsBetter(Right):
    def _score(self, query, text):
        return -super()._score(query, text)


class BestFirst(Right):
    def rerank(self, query, texts):
        return sorted(super().rerank(query, texts), reverse=True)


class OnceOnly(Right):
    """Like a service that leaves out texts which it has seen."""

    def rerank(self, query, texts):
        seen = [text in texts[:position] for position, text in enumerate(texts)]
        scores = super().rerank(query, texts)
        return [0.0 if again else score for again, score in zip(seen, scores, strict=True)]


class Random(Right):
    numbers = itertools.count(1)

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.number = next(self.numbers)

    def _score(self, query, text):
        return super()._score(query, text) + self.number


class Hashed(Right):
    """hash() differs among processes."""

    def _score(self, query, text):
        return 2.0 ** (hash(text) % 1000)


class NotReusable(Right):
    closed = False

    def close(self):
        self.closed = True

    def _score(self, query, text):
        if self.closed:
            raise RuntimeError("closed")
        return super()._score(query, text)


class OtherAsynchronously(Right):
    async def arerank(self, query, texts):
        return [-score for score in self.rerank(query, texts)]


class NoCheck(Right):
    def check(self):
        return None


class ChecksInTexts(Right):
    def check(self):
        return ["The key is missing."]


class LoadedByOneThread(Right):
    """While the first thread loads, the others find nothing yet."""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.first = threading.Lock()
        self.others = threading.Event()
        self.ready = False

    def _score(self, query, text):
        if self.first.acquire(blocking=False):
            self.others.wait(30)
            self.ready = True
        self.others.set()
        return super()._score(query, text) if self.ready else 99.0


MUTANTS = {
    OneTooFew: "test_one_number_for_each_text",
    NotANumber: "test_one_number_for_each_text",
    LowerIsBetter: "test_the_answer_has_the_highest_score",
    BestFirst: "test_each_score_belongs_to_its_text",
    OnceOnly: "test_a_text_twice",
    Random: "test_instances_agree",
    Hashed: "test_processes_agree",
    NotReusable: "test_close_and_use_again",
    OtherAsynchronously: "test_asynchronously",
    NoCheck: "test_check",
    ChecksInTexts: "test_check",
    LoadedByOneThread: "test_first_use_in_several_threads",
}


class Suite(RerankingBackendConformance):
    """A new process can import it, unlike a class within a function."""

    def __init__(self, mutant):
        self.mutant = mutant

    def make_backend(self):
        return self.mutant("default", self.mutant.Options())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_broken_backend_is_caught(mutant):
    cases = cases_of(Suite, only=[MUTANTS[mutant]])
    failure = first_failure(partial(Suite, mutant), cases)
    assert failure is not None
    assert isinstance(failure[1], (AssertionError, RuntimeError))


def test_make_backend_must_be_written():
    unfinished = type("Unfinished", (RerankingBackendConformance,), {})()
    with pytest.raises(NotImplementedError, match="Unfinished must define make_backend"):
        unfinished.make_backend()
