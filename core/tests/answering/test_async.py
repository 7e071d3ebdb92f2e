"""Answers on an event loop."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.http import StreamingHttpResponse

from tests.testapp.models import Note
from wagtail_vector_index.exceptions import ChatUnavailable, InvalidQuery

pytestmark = pytest.mark.django_db(transaction=True)

NOTES = Note.vector_index


@pytest.fixture(autouse=True)
def notes(bring_up_to_date):
    for number in range(3):
        Note.objects.create(text=f"bread number{number}")
    bring_up_to_date("note")


def test_pieces_come_as_they_are_written(chat):
    async def ask():
        answer = await NOTES.aquery("bread", limit=2, user=AnonymousUser())
        asked = len(chat.asked)
        pieces = [piece async for piece in answer]
        return answer, asked, pieces, await answer.atext()

    answer, asked, pieces, text = async_to_sync(ask)()
    assert (asked, len(chat.asked)) == (0, 1)
    assert pieces == ["Mix ", "flour ", "and ", "water ", "[1]. "]
    assert text == answer.text == "".join(pieces)
    same = NOTES.query("bread", limit=2)
    assert [s.chunks for s in answer.sources] == [s.chunks for s in same.sources]
    assert [s.object for s in answer.sources] == [s.object for s in same.sources]


def test_an_answer_that_nobody_reads_on_is_ended(chat):
    async def ask():
        answer = await NOTES.aquery("bread")
        pieces = aiter(answer)
        await anext(pieces)
        await pieces.aclose()
        return chat.closed, await answer.atext()

    assert async_to_sync(ask)() == (1, "Mix flour and water [1]. ")


def test_instructions_may_come_from_the_database(chat, monkeypatch):
    """Django refuses its database to the event loop's own thread."""

    def instructions(index):
        return f"Answer from {Note.objects.count()} notes."

    monkeypatch.setattr(type(NOTES), "get_answer_instructions", instructions)

    async def ask():
        return await (await NOTES.aquery("bread")).atext()

    assert async_to_sync(ask)() == "Mix flour and water [1]. "
    assert "Answer from 3 notes." in chat.asked[0][0].content


def test_the_arguments_of_the_search_may_come_from_the_database(chat):
    async def ask():
        stars = Note.objects.values_list("stars", flat=True)
        return await NOTES.aquery("bread", filter=Q(stars__in=stars))

    assert len(async_to_sync(ask)().sources) == 3


def test_errors_are_the_same(chat):
    def fail(piece):
        raise ChatUnavailable("down")

    chat.before = fail

    async def ask():
        with pytest.raises(InvalidQuery):
            await NOTES.aquery(" ")
        with pytest.raises(ChatUnavailable):
            await (await NOTES.aquery("bread")).atext()

    async_to_sync(ask)()


def test_nothing_found(chat):
    async def ask():
        answer = await NOTES.aquery("bread", within=Note.objects.none())
        return [piece async for piece in answer], await answer.atext()

    text = "Nothing was found that answers this question."
    assert async_to_sync(ask)() == ([text], text)
    assert chat.asked == []


def test_a_response_that_streams(chat):
    async def ask():
        answer = await NOTES.aquery("bread")
        response = StreamingHttpResponse(aiter(answer))
        return [piece async for piece in response]

    assert async_to_sync(ask)() == [b"Mix ", b"flour ", b"and ", b"water ", b"[1]. "]
