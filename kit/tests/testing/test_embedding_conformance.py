"""The suite for embedding backends: what is right passes, and each broken one is caught."""

import itertools
import math
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.testapp.embeddings import WordEmbeddings
from wagtail_vector_index.exceptions import EmbeddingUnavailable, InvalidEmbeddings
from wagtail_vector_index.testing import EmbeddingBackendConformance

from .runner import cases_of, first_failure

ROOT = Path(__file__).parents[3]


class Right(WordEmbeddings):
    """Words are counted, and so are letters: texts without words differ too."""

    max_tokens = None

    def count_tokens(self, text):
        return max(1, len(text.split()))


class TestRight(EmbeddingBackendConformance):
    def make_backend(self):
        return Right("default", Right.Options())


class TestTwoAtATime(EmbeddingBackendConformance):
    """A service that takes two texts in a request."""

    class Backend(Right):
        max_batch_texts = 2

        def embed(self, texts):
            assert len(texts) <= 2
            return super().embed(texts)

    def make_backend(self):
        return self.Backend("default", Right.Options())


class Zero(Right):
    def _vector(self, text):
        return super()._vector(text) if text.isascii() else [0.0] * self.dimensions


class Constant(Right):
    def _vector(self, text):
        return [1.0] * self.dimensions


class Sorted(Right):
    def embed(self, texts):
        return super().embed(sorted(texts))


class Unique(Right):
    def embed(self, texts):
        return super().embed(list(dict.fromkeys(texts)))


class Stateful(Right):
    def embed(self, texts):
        self.calls += 1
        return [[*vector[1:], 5.0 * self.calls] for vector in super().embed(texts)]


class Random(Right):
    numbers = itertools.count(1)

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.number = 10.0 * next(self.numbers)

    def _vector(self, text):
        return [self.number, *super()._vector(text)[1:]]


class OtherFingerprint(Random):
    @property
    def fingerprint(self):
        return f"{super().fingerprint}{self.number}"


class TenAtOnce(Right):
    max_batch_texts = 256

    def embed(self, texts):
        return super().embed(texts[:10])


class Hashed(Right):
    """hash() differs among processes."""

    def _vector(self, text):
        vector = [0.01] * self.dimensions
        for word in text.split():
            vector[hash(word) % self.dimensions] += 1.0
        return vector


class WrongDimensions(Right):
    def _vector(self, text):
        return [*super()._vector(text), 1.0]


class NotReusable(Right):
    closed = False

    def close(self):
        self.closed = True

    def _vector(self, text):
        if self.closed:
            raise RuntimeError("closed")
        return super()._vector(text)


class NoTokens(Right):
    def count_tokens(self, text):
        return 0


class ConstantTokens(Right):
    def count_tokens(self, text):
        return 1

    max_tokens = 1


class FloatTokens(Right):
    max_tokens = 512.0


class TruncatedTokens(Right):
    """The tokenizer cuts a text before the model does."""

    max_tokens = 256

    def count_tokens(self, text):
        assert len(text) < 100_000, "It asks for ever."
        return min(128, super().count_tokens(text))


class TokensOfTheModel(Right):
    """Texts beyond the model's length all seem to fit."""

    max_tokens = 256

    def count_tokens(self, text):
        return min(256, super().count_tokens(text))


class TooShort(Right):
    max_tokens = 300

    def _vector(self, text):
        if len(text.split()) > 100:
            raise RuntimeError("too long")
        return super()._vector(text)


class OtherAsynchronously(Right):
    async def aembed(self, texts):
        return [[-number for number in vector] for vector in self.embed(texts)]


class NoCheck(Right):
    def check(self):
        return None


class ChecksInTexts(Right):
    def check(self):
        return ["The key is missing."]


class LongerQueries(Right):
    def embed_query(self, text):
        return memoryview(super().embed_query(text).tobytes() * 2).cast("f")


class LoadedByOneThread(Right):
    """While the first thread loads, the others find nothing yet."""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.first = threading.Lock()
        self.others = threading.Event()
        self.ready = False

    def _vector(self, text):
        if self.first.acquire(blocking=False):
            self.others.wait(30)
            self.ready = True
        self.others.set()
        return super()._vector(text) if self.ready else [math.inf] * self.dimensions


MUTANTS = {
    Zero: "test_one_vector_for_each_text",
    Constant: "test_texts_have_vectors_of_their_own",
    Sorted: "test_batches_change_nothing",
    Unique: "test_a_text_twice",
    Stateful: "test_batches_change_nothing",
    Random: "test_instances_agree",
    TenAtOnce: "test_one_vector_for_each_of_many_texts",
    Hashed: "test_processes_agree",
    OtherFingerprint: "test_instances_agree",
    WrongDimensions: "test_one_vector_for_each_text",
    NotReusable: "test_close_and_use_again",
    NoTokens: "test_tokens",
    ConstantTokens: "test_tokens",
    FloatTokens: "test_tokens",
    TruncatedTokens: "test_the_longest_text",
    TokensOfTheModel: "test_tokens",
    TooShort: "test_the_longest_text",
    OtherAsynchronously: "test_asynchronously",
    NoCheck: "test_check",
    ChecksInTexts: "test_check",
    LongerQueries: "test_queries_are_as_long_as_documents",
    LoadedByOneThread: "test_first_use_in_several_threads",
}


class Suite(EmbeddingBackendConformance):
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
    assert isinstance(failure[1], (AssertionError, InvalidEmbeddings, RuntimeError))


def test_a_tokenizer_that_truncates_is_named():
    rule = "stays at 128: does the tokenizer truncate?"
    for test in ("test_tokens", "test_the_longest_text"):
        with pytest.raises(AssertionError, match=rule):
            getattr(Suite(TruncatedTokens), test)()


class OnlyHere(Right):
    """Like a service that only the process of the tests can reach."""

    def embed(self, texts):
        raise EmbeddingUnavailable("nobody listens")


def test_a_backend_that_works_in_one_process_only_is_not_caught():
    with pytest.raises(pytest.skip.Exception, match="in a new process: .*nobody listens"):
        Suite(OnlyHere).test_processes_agree()

    class Local(Suite):
        pass

    with pytest.raises(pytest.skip.Exception, match="in a new process: .*Local"):
        Local(Right).test_processes_agree()


WITHOUT_DJANGO = """
from tests.testapp.embeddings import WordEmbeddings
from wagtail_vector_index.testing import EmbeddingBackendConformance

class Suite(EmbeddingBackendConformance):
    def make_backend(self):
        return WordEmbeddings("default", WordEmbeddings.Options())

Suite().test_first_use_in_several_threads()
"""


def test_nothing_needs_to_be_configured():
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DJANGO],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_make_backend_must_be_written():
    unfinished = type("Unfinished", (EmbeddingBackendConformance,), {})()
    with pytest.raises(NotImplementedError, match="Unfinished must define make_backend"):
        unfinished.make_backend()
