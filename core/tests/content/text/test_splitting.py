"""split_text: chunks end where a reader would pause, and fit."""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.content.text import split_text

PARAGRAPHS = [
    "The kettle boiled. Nobody noticed it at first.",
    "Rain fell on the garden. The cat came in, wet and cross.",
    "In the evening they lit a fire. It burned until midnight.",
]


def words(text):
    """A tokenizer: a token for each word and each mark."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def words_and_marks(text):
    """A tokenizer that puts a token before and after, as BERT's does."""
    return words(text) + 2


def bytes_in(text):
    """A tokenizer with several tokens for some characters."""
    return len(text.encode())


def pieces(text):
    """A tokenizer that cuts words every four letters, and counts each newline."""
    return sum(-(-len(word) // 4) for word in text.split()) + text.count("\n")


TOKENIZERS = [len, words, words_and_marks, bytes_in, pieces]


def visible(text):
    return "".join(text.split())


class TestBoundaries:
    def test_text_that_fits_is_one_chunk(self):
        text = "\n\n".join(PARAGRAPHS)
        assert split_text(text, count_tokens=words, chunk_tokens=words(text)) == [text]

    def test_long_text_of_few_tokens_is_one_chunk(self):
        text = " ".join(["antidisestablishmentarianism"] * 10)
        assert split_text(text, count_tokens=words, chunk_tokens=10) == [text]

    @pytest.mark.parametrize("text", ["", " ", "\n\t\u2003\n"])
    def test_blank_text_gives_no_chunk(self, text):
        assert split_text(text, count_tokens=words, chunk_tokens=5) == []

    def test_splits_between_paragraphs(self):
        text = "\n\n".join(PARAGRAPHS)
        assert split_text(text, count_tokens=words, chunk_tokens=15) == PARAGRAPHS

    def test_splits_between_sentences(self):
        text = " ".join(PARAGRAPHS)
        chunks = split_text(text, count_tokens=words, chunk_tokens=17)
        assert len(chunks) > 1
        assert all(chunk.endswith(".") for chunk in chunks)
        assert " ".join(chunks) == text

    def test_fills_chunks(self):
        text = " ".join(f"Sentence number {i} is here." for i in range(200))
        chunks = split_text(text, count_tokens=words, chunk_tokens=60)
        assert len(chunks) == 20

    def test_overlap_repeats_the_end_of_the_chunk_before(self):
        text = " ".join(f"Sentence {i}." for i in range(30))
        chunks = split_text(text, count_tokens=words, chunk_tokens=12, overlap=3)
        for one, following in pairwise(chunks):
            assert following.startswith(one.rpartition(". ")[2])
            assert words(following) <= 12


class TestLimit:
    @pytest.mark.once
    @pytest.mark.parametrize("count_tokens", TOKENIZERS)
    @pytest.mark.parametrize(
        "text",
        ["x" * 100_000, "1 " * 20_000, "." * 10_000, "这是一个测试。" * 2_000, "é\n" * 5_000],
        ids=["word", "numbers", "dots", "chinese", "lines"],
    )
    def test_pathological_text(self, count_tokens, text):
        chunks = split_text(text, count_tokens=count_tokens, chunk_tokens=100)
        assert max(map(count_tokens, chunks)) <= 100
        assert visible("".join(chunks)) == visible(text)

    @pytest.mark.timeout(60)
    def test_a_line_of_millions_of_characters(self):
        line = random.Random(1).randbytes(2_000_000).hex()
        text = f"Before.\n\n{line} {line[:999]}\nAfter."
        chunks = split_text(text, count_tokens=lambda part: -(-len(part) // 4), chunk_tokens=256)
        assert max(map(len, chunks)) <= 4 * 256
        assert visible("".join(chunks)) == visible(text)

    def test_control_characters_that_count_as_space(self):
        text = "aaaa" + "\x1f" * 20 + "bbbb"
        assert split_text(text, count_tokens=len, chunk_tokens=4) == ["aaaa", "bbbb"]

    def test_overlap_of_many_characters(self):
        text = " ".join(f"{i}{'x' * 400}" for i in range(400))
        chunks = split_text(text, count_tokens=words, chunk_tokens=200, overlap=150)
        assert max(map(words, chunks)) <= 200
        assert set(" ".join(chunks).split()) == set(text.split())

    def test_dense_part_within_a_sparse_text(self):
        text = " ".join(PARAGRAPHS) * 5 + "}{" * 500 + " ".join(PARAGRAPHS) * 5
        chunks = split_text(text, count_tokens=words, chunk_tokens=40)
        assert max(map(words, chunks)) <= 40

    def test_a_character_that_alone_exceeds_the_limit_passes(self):
        assert split_text("a😀b", count_tokens=bytes_in, chunk_tokens=2) == ["a", "😀", "b"]

    @given(
        st.text(st.characters(codec="utf-8")) | st.text("ab .\n!?é😀", min_size=50),
        st.sampled_from(TOKENIZERS),
        st.integers(4, 40),
    )
    def test_nothing_is_lost_and_everything_fits(self, text, count_tokens, chunk_tokens):
        chunks = split_text(text, count_tokens=count_tokens, chunk_tokens=chunk_tokens)
        assert visible("".join(chunks)) == visible(text)
        assert all(count_tokens(chunk) <= chunk_tokens for chunk in chunks)
        assert all(chunk == chunk.strip() != "" for chunk in chunks)

    @given(st.text("ab .\n!?é😀", min_size=50), st.sampled_from(TOKENIZERS), st.data())
    def test_everything_fits_with_overlap(self, text, count_tokens, data):
        chunk_tokens = data.draw(st.integers(5, 40))
        overlap = data.draw(st.integers(0, chunk_tokens - 1))
        chunks = split_text(
            text, count_tokens=count_tokens, chunk_tokens=chunk_tokens, overlap=overlap
        )
        assert all(count_tokens(chunk) <= chunk_tokens for chunk in chunks)
        assert set(visible("".join(chunks))) == set(visible(text))

    @given(st.text("ab .\n", min_size=30), st.randoms(use_true_random=False))
    def test_count_that_follows_no_rule(self, text, random):
        sizes = {}

        def count_tokens(part):
            return sizes.setdefault(part, random.randint(1, 2 * len(part) + 1))

        chunks = split_text(text, count_tokens=count_tokens, chunk_tokens=10)
        assert visible("".join(chunks)) == visible(text)
        assert all(sizes[chunk] <= 10 for chunk in chunks if len(chunk) > 1)


class TestErrors:
    @pytest.mark.parametrize("chunk_tokens", [0, -1])
    def test_chunk_without_tokens(self, chunk_tokens):
        with pytest.raises(ValueError, match=f"chunk_tokens is {chunk_tokens}"):
            split_text("text", count_tokens=len, chunk_tokens=chunk_tokens)

    @pytest.mark.parametrize("overlap", [-1, 10, 11])
    def test_overlap_that_leaves_no_way_forward(self, overlap):
        with pytest.raises(
            ValueError, match=rf"overlap is {overlap}: .* below chunk_tokens \(10\)"
        ):
            split_text("text", count_tokens=len, chunk_tokens=10, overlap=overlap)

    def test_what_the_tokenizer_raises_is_raised(self):
        """At each of its calls, whether by us or by the library that splits."""

        class TokenizerIsDownError(Exception):
            pass

        text = " ".join(PARAGRAPHS) + "}{" * 100 + " ".join(PARAGRAPHS)
        left = -1

        def count_tokens(part):
            nonlocal left
            if not left:
                raise TokenizerIsDownError("no tokenizer today")
            left -= 1
            return words(part)

        split_text(text, count_tokens=count_tokens, chunk_tokens=40)
        for call in range(-1 - left):
            left = call
            with pytest.raises(TokenizerIsDownError, match="no tokenizer today"):
                split_text(text, count_tokens=count_tokens, chunk_tokens=40)


class Counting:
    """A tokenizer that counts the characters that it reads."""

    def __init__(self):
        self.read = 0

    def __call__(self, text):
        self.read += len(text)
        return words(text)


def test_the_tokenizer_reads_the_text_only_about_twice():
    count_tokens = Counting()
    text = "\n\n".join(" ".join(PARAGRAPHS) for _ in range(400))
    chunks = split_text(text, count_tokens=count_tokens, chunk_tokens=128)
    assert len(chunks) > 50
    # The splitter by itself asks for five to twelve times the text.
    assert count_tokens.read < 2.5 * len(text)


@pytest.mark.parametrize("seed", [18, 47, 558])
def test_a_text_that_repeats_itself_is_read_a_few_times_more(seed):
    """Each part is in many places, so the splitter's place in the text is easily lost."""
    chance = random.Random(seed)
    phrases = [
        " ".join(f"word{chance.randrange(100)}" for _ in range(chance.randint(1, 30)))
        for _ in range(chance.choice([10, 60, 500]))
    ]
    text = "".join(
        chance.choice(phrases) + chance.choice(["\n\n", "\n", ". ", " "]) for _ in range(1_500)
    )
    for chunk_tokens, overlap in ((30, 15), (200, 100)):
        count_tokens = Counting()
        split_text(text, count_tokens=count_tokens, chunk_tokens=chunk_tokens, overlap=overlap)
        assert count_tokens.read < 5 * len(text)
