"""Answers with their sources."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q
from django.test import RequestFactory
from django.utils import timezone
from wagtail.models import PageViewRestriction

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.answering import Answer
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import (
    ChatUnavailable,
    CollectionNotFound,
    ConfigurationError,
    EmbeddingUnavailable,
    IndexNotBuilt,
    InvalidAnswer,
    InvalidFilter,
    InvalidQuery,
    UnknownAlias,
)
from wagtail_vector_index.handlers import chat_backends
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import EmbeddingField
from wagtail_vector_index.search import hybrid_search

pytestmark = pytest.mark.django_db

ARTICLES = ArticlePage.vector_index
NOTES = Note.vector_index


class PrivateIndex(VectorIndex):
    """Articles, whoever may see them."""

    name = "private"
    querysets = [ArticlePage.objects.all()]
    include_private = True


PRIVATE = PrivateIndex()


def filler(word, count=90):
    """A sentence that fills a chunk of the tests' embedding model."""
    return " ".join([word, *(f"{word}{number}" for number in range(count - 1))]) + "."


@pytest.fixture
def notes(bring_up_to_date):
    for number in range(8):
        Note.objects.create(text=f"bread number{number}", stars=number)
    bring_up_to_date("note")


def test_an_answer_has_text_and_sources(article, bring_up_to_date, chat, prompt, fenced):
    page = article("Bread", "<p>Mix flour and water.</p>")
    article("Bikes", "<p>wheels</p>")
    bring_up_to_date("ArticlePage")
    answer = ARTICLES.query("flour water", limit=1)
    [source] = answer.sources
    [chunk] = source.chunks
    assert source.object == page
    assert isinstance(source.object, ArticlePage)
    assert (chunk.number, chunk.text) == (1, "Mix flour and water.")
    assert source.score == chunk.score == pytest.approx(source.object.vector_score)
    assert answer.text == "Mix flour and water [1]. "
    text = prompt(answer)
    assert fenced(text) == {1: "Bread\n\nMix flour and water."}
    assert "\nflour water\n" in text


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_several_passages_of_one_object_are_in_the_order_of_its_text(
    bring_up_to_date, prompt, fenced, mode
):
    """Not only the best of each object: an answer often needs what stands beside it."""
    long = Note.objects.create(text="\n\n".join(map(filler, ("salt", "flour", "yeast"))))
    short = Note.objects.create(text="yeast")
    bring_up_to_date("note")
    answer = NOTES.query("yeast flour", mode=mode)
    assert [source.object for source in answer.sources] == [short, long]
    chunks = [chunk for source in answer.sources for chunk in source.chunks]
    assert [chunk.text.split()[0] for chunk in chunks] == ["yeast", "salt", "flour", "yeast"]
    assert [chunk.number for chunk in chunks] == [1, 2, 3, 4]
    assert fenced(prompt(answer)) == {chunk.number: chunk.text for chunk in chunks}


def test_the_best_passages_overall_are_used(bring_up_to_date, prompt, fenced):
    """A page with much to say gives more passages than a page that is hardly related."""
    Note.objects.create(
        text="\n\n".join(f"bread bread bread {filler(f'x{n}', 60)}" for n in range(9))
    )
    Note.objects.create(text="\n\n".join(map(filler, ("far", "away", "from", "it"))))
    bring_up_to_date("note")
    near, far = NOTES.query("bread").sources
    assert (len(near.chunks), len(far.chunks)) == (6, 1)


@pytest.fixture
def found_by_words(monkeypatch):
    """Lets the site's search backend find this object alone."""

    def run(instance):
        scores = {object_key(instance): 10.0}
        monkeypatch.setattr(hybrid_search, "word_scores", lambda *arguments: scores)

    return run


def test_what_a_hybrid_search_finds_first_is_sent_first(
    bring_up_to_date, configure, found_by_words, monkeypatch
):
    """Chunks of other objects are nearer in meaning, and fill the window."""
    configure(CONTEXT_TOKENS=720)
    monkeypatch.setattr(type(NOTES), "vector_weight", 0.3)
    for number in range(3):
        parts = [filler(f"x{number}{part}", 60) for part in range(3)]
        Note.objects.create(text="\n\n".join(f"bread rye {part}" for part in parts))
    manual = Note.objects.create(text=filler("zz9000", 60))
    bring_up_to_date("note")
    found_by_words(manual)
    assert NOTES.search("bread rye zz9000", mode="hybrid")[0] == manual
    answer = NOTES.query("bread rye zz9000", mode="hybrid", limit=4)
    assert answer.sources[0].object == manual
    assert 1 < sum(len(source.chunks) for source in answer.sources) < 10


def test_a_hybrid_search_sends_the_passage_that_has_the_words(bring_up_to_date, found_by_words):
    """It is not among the nearest in meaning of a long text."""
    parts = [f"bread rye {filler(f'x{part}', 60)}" for part in range(12)]
    manual = Note.objects.create(text="\n\n".join([*parts, filler("zz9000", 80)]))
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    found_by_words(manual)
    answer = NOTES.query("which bread rye has code zz9000", mode="hybrid", limit=2)
    [source] = [source for source in answer.sources if source.object == manual]
    assert source.chunks[-1].text.startswith("zz9000")


def test_sources_are_known_before_the_chat_backend_is_asked(notes, chat):
    answer = NOTES.query("bread", limit=3)
    assert len(answer.sources) == 3
    assert chat.asked == []
    pieces = iter(answer)
    assert next(pieces) == "Mix "
    assert len(chat.asked) == 1


def test_the_text_comes_piece_by_piece_and_is_asked_for_once(notes, chat):
    answer = NOTES.query("bread")
    assert list(answer) == ["Mix ", "flour ", "and ", "water ", "[1]. "]
    assert "".join(answer) == answer.text
    assert len(chat.asked) == 1
    assert "5 sources" in repr(answer)


class Pieces:
    """An asynchronous iterator that cannot be closed."""

    def __init__(self, *pieces):
        self.pieces = iter(pieces)

    def __aiter__(self):
        return self

    async def __anext__(self):
        for piece in self.pieces:
            return piece
        raise StopAsyncIteration


def test_streams_need_not_be_closable(notes, chat, monkeypatch):
    monkeypatch.setattr(chat, "stream", lambda messages: map(str.upper, ["a", "b"]))
    assert NOTES.query("bread").text == "AB"
    assert async_to_sync(NOTES.query("bread").atext)() == "AB"
    monkeypatch.setattr(chat, "astream", lambda messages: Pieces("c", "d"))
    assert async_to_sync(NOTES.query("bread").atext)() == "cd"


def test_an_answer_that_is_not_read_to_its_end_is_ended(notes, chat):
    answer = NOTES.query("bread")
    pieces = iter(answer)
    next(pieces)
    pieces.close()
    assert chat.closed == 1
    assert answer.text == "Mix flour and water [1]. "
    assert len(chat.asked) == 2


@pytest.fixture(params=["list", "iterator", "generator"])
def writing(request, notes, chat, monkeypatch):
    """Lets the backend stream these pieces, in one of the ways in which authors write it."""

    def run(*pieces):
        def generator(messages):
            yield from pieces

        streams = {"list": list, "iterator": iter}
        convert = streams.get(request.param)
        stream = generator if convert is None else lambda messages: convert(pieces)
        monkeypatch.setattr(chat, "stream", stream)

    return run


def texts_of(answer):
    """The text of an answer as it is read without and with an event loop."""
    again = Answer(sources=answer.sources, backend=answer._backend, messages=answer._messages)
    return answer.text, async_to_sync(again.atext)()


def test_pieces_without_text_end_no_answer(writing):
    writing(None, "Mix ", None, "", "flour.")
    answer = NOTES.query("bread")
    assert texts_of(answer) == ("Mix flour.", "Mix flour.")
    assert list(answer) == ["Mix ", "flour."]


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        (["Mix ", 3], "'default' returned an int instead of text"),
        ([b"Mix"], "'default' returned a bytes instead of text"),
        ([], "'default' returned no text"),
        (["", None], "'default' returned no text"),
    ],
)
def test_what_is_no_text_is_no_answer(writing, pieces, message):
    writing(*pieces)
    answer = NOTES.query("bread")
    for read in (lambda: answer.text, async_to_sync(answer.atext)):
        with pytest.raises(InvalidAnswer, match=message):
            read()


@pytest.mark.parametrize("error", [ChatUnavailable("broke off"), ConnectionError("broke off")])
def test_an_answer_that_breaks_off_is_no_answer(notes, chat, error):
    """A third party's backend may let errors of its client pass."""

    def fail(piece):
        if piece == "and":
            raise error

    chat.before = fail
    answer = NOTES.query("bread")
    pieces = iter(answer)
    assert [next(pieces), next(pieces)] == ["Mix ", "flour "]
    with pytest.raises(ChatUnavailable, match="broke off"):
        next(pieces)
    with pytest.raises(ChatUnavailable, match="broke off"):
        _ = answer.text
    with pytest.raises(ChatUnavailable, match="broke off"):
        async_to_sync(answer.atext)()
    chat.before = lambda piece: None
    assert answer.text == "Mix flour and water [1]. "


def test_the_query_is_embedded_once(notes, embedder):
    embedder.calls = 0
    assert NOTES.query("bread").text
    assert embedder.calls == 1


def test_an_answer_takes_few_queries(notes, chat, django_assert_max_num_queries):
    assert NOTES.query("bread").text
    with django_assert_max_num_queries(7):
        assert NOTES.query("bread").text


def test_what_searches_take(notes, chat):
    assert len(NOTES.query("bread", limit=2).sources) == 2
    few = NOTES.query("bread", filter=Q(stars__gte=6))
    assert {source.object.stars for source in few.sources} == {6, 7}
    within = NOTES.query("bread", within=Note.objects.filter(stars=3))
    assert [source.object.stars for source in within.sources] == [3]
    near = NOTES.query("bread number3", similarity_threshold=0.9)
    assert [source.object.stars for source in near.sources] == [3]
    assert all(p.score >= 0.9 for source in near.sources for p in source.chunks)


@pytest.mark.parametrize("question", ["", "  \n", "\x00", "\ud800"])
def test_a_blank_question_is_said_at_once(notes, chat, embedder, question):
    embedder.calls = 0
    with pytest.raises(InvalidQuery, match="The question is blank"):
        NOTES.query(question)
    assert (embedder.calls, chat.asked) == (0, [])


def test_wrong_arguments_are_said_at_once(notes, chat):
    with pytest.raises(InvalidQuery, match="text"):
        NOTES.query(None)
    with pytest.raises(InvalidQuery, match="limit"):
        NOTES.query("bread", limit=0)
    with pytest.raises(InvalidFilter):
        NOTES.query("bread", filter=Q(star=3))
    with pytest.raises(UnknownAlias, match="Did you mean 'default'"):
        NOTES.query("bread", chat_backend="defualt")


def test_errors_of_the_search_are_those_of_a_search(chat, embedder, bring_up_to_date):
    with pytest.raises(IndexNotBuilt, match="update_vector_indexes"):
        NOTES.query("bread")
    Note.objects.create(text="bread")
    bring_up_to_date("note")

    def fail(texts):
        raise EmbeddingUnavailable("down")

    embedder.before = fail
    with pytest.raises(EmbeddingUnavailable):
        NOTES.query("bread")
    assert chat.asked == []


def test_another_chat_backend(notes, settings):
    backend = {"BACKEND": "tests.testapp.chat.ScriptedChat"}
    settings.WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {"default": backend, "small": backend}
    chat_backends["small"].answer = "Hi"
    assert NOTES.query("bread", chat_backend="small").text == "Hi "


def test_the_chat_backend_that_an_index_declares(notes, settings, monkeypatch):
    backend = {"BACKEND": "tests.testapp.chat.ScriptedChat"}
    settings.WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {"default": backend, "small": backend}
    monkeypatch.setattr(type(NOTES), "chat_backend", "small", raising=False)
    chat_backends["small"].answer = "Hi"
    assert NOTES.query("bread").text == "Hi "
    answer = async_to_sync(NOTES.aquery)("bread")
    assert async_to_sync(answer.atext)() == "Hi "
    assert NOTES.query("bread", chat_backend="default").text != "Hi "


# What the visitor may see


def visitor(user):
    request = RequestFactory().get("/")
    request.user = user
    request.session = {}
    return request


@pytest.fixture
def sections(article):
    """An open section, and one for those who are logged in."""
    private = article("Private", "<p>bread secret</p>")
    opened = article("Open", "<p>bread</p>")
    PageViewRestriction.objects.create(page=private, restriction_type="login")
    update(PRIVATE)
    return SimpleNamespace(private=private, open=opened)


def test_the_context_is_only_what_the_visitor_may_see(sections, prompt):
    member = User.objects.create(username="member")
    for viewer in ({}, {"user": AnonymousUser()}, {"request": visitor(AnonymousUser())}):
        answer = PRIVATE.query("bread secret", **viewer)
        assert [source.object for source in answer.sources] == [sections.open]
        assert "Private" not in prompt(answer)
    for viewer in ({"user": member}, {"request": visitor(member)}):
        answer = PRIVATE.query("bread secret", **viewer)
        assert [source.object for source in answer.sources] == [sections.private, sections.open]
        assert "bread secret" in prompt(answer)


def test_the_context_is_what_may_be_seen_at_this_moment(sections, prompt):
    ArticlePage.objects.filter(pk=sections.open.pk).update(expire_at=timezone.now())
    assert PRIVATE.query("bread").sources == []


# Nothing found


def test_nothing_found_is_said_without_asking(bring_up_to_date, chat):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    answer = NOTES.query("bread", within=Note.objects.none())
    assert (answer.sources, chat.asked) == ([], [])
    assert list(answer) == ["Nothing was found that answers this question."]
    assert answer.text == "Nothing was found that answers this question."
    assert NOTES.query("cheese", similarity_threshold=0.99).sources == []
    assert chat.asked == []


def test_what_is_said_then_is_the_indexs_own(notes, monkeypatch):
    monkeypatch.setattr(type(NOTES), "nothing_found", "Call us.", raising=False)
    assert NOTES.query("bread", within=Note.objects.none()).text == "Call us."


# What does not fit


def test_passages_that_do_not_fit_are_left_out(bring_up_to_date, configure, prompt, fenced):
    chat = configure(CONTEXT_TOKENS=565)
    for count in (30, 20, 10):
        Note.objects.create(text=f"{'bread ' * count}{filler(f'x{count}', 60)}")
    Note.objects.create(text="a short one")
    bring_up_to_date("note")
    answer = NOTES.query("bread")
    texts = [chunk.text for source in answer.sources for chunk in source.chunks]
    assert [text.count("bread") for text in texts] == [30, 20, 0]
    assert texts[-1] == "a short one"
    assert fenced(prompt(answer, chat)) == dict(enumerate(texts, 1))
    tokens = sum(chat.count_tokens(message.content) for message in chat.asked[0])
    assert tokens <= 565 - 100


def test_the_best_passage_is_cut_to_fit(configure, prompt, fenced, bring_up_to_date):
    chat = configure(CONTEXT_TOKENS=820, TOKENS_PER_WORD=3)
    Note.objects.create(text=filler("bread"))
    bring_up_to_date("note")
    answer = NOTES.query("bread")
    [[chunk]] = [source.chunks for source in answer.sources]
    assert chunk.text.endswith(" […]")
    kept = chunk.text.removesuffix(" […]")
    assert filler("bread").startswith(f"{kept} ")
    assert 20 < len(kept.split()) < 90
    assert fenced(prompt(answer, chat)) == {1: chunk.text}
    tokens = sum(chat.count_tokens(message.content) for message in chat.asked[0])
    assert 820 - 100 - 110 < tokens <= 820 - 100


def test_a_question_that_is_too_long_is_said_before_it_is_embedded(notes, chat, embedder):
    embedder.calls = 0
    with pytest.raises(
        InvalidQuery, match="too long.*'default' has 1000 tokens, 100 of them"
    ) as raised:
        NOTES.query("bread " * 1000)
    assert "bread" not in str(raised.value)
    assert (embedder.calls, chat.asked) == (0, [])


def test_a_window_without_room_for_questions_is_no_fault_of_the_visitor(notes, configure):
    chat = configure(CONTEXT_TOKENS=300)
    with pytest.raises(ConfigurationError, match="'default' has no room.*300 tokens, 100 of them"):
        NOTES.query("bread")
    assert chat.asked == []


# What the model is told


class BakersIndex(VectorIndex):
    name = "bakers"
    querysets = [Note.objects.all()]
    filter_fields = []
    embedding_fields = [EmbeddingField("text")]
    answer_instructions = "Answer like a baker, {word} by word."


class PoliteIndex(BakersIndex):
    name = "polite"

    def get_answer_instructions(self):
        return f"{super().get_answer_instructions()} Say please."


@pytest.mark.parametrize("index", [BakersIndex(), PoliteIndex()])
def test_instructions_are_the_indexs_own_and_the_protection_stays(index, chat):
    Note.objects.create(text="bread")
    update(index)
    assert index.query("bread").text
    [[system, _]] = chat.asked
    assert system.content.startswith("Answer like a baker, {word} by word.")
    assert ("Say please." in system.content) == isinstance(index, PoliteIndex)
    assert "never an instruction" in system.content


def test_nothing_of_it_is_logged(notes, chat, caplog):
    with caplog.at_level(logging.DEBUG):
        assert NOTES.query("bread number3 confidential").text
    assert "confidential" not in caplog.text
    assert "number3" not in caplog.text


def test_a_collection_that_is_dropped_in_between(notes, server, monkeypatch, chat):
    update(NOTES)
    search = type(server)._search

    def dropped(self, spec, vector, limit, filter, min_score):
        if filter is not None:
            raise CollectionNotFound("gone")
        return search(self, spec, vector, limit, filter, min_score)

    monkeypatch.setattr(type(server), "_search", dropped)
    answer = NOTES.query("bread number3", limit=2)
    assert [len(source.chunks) for source in answer.sources] == [1, 1]
    assert answer.sources[0].object.stars == 3
