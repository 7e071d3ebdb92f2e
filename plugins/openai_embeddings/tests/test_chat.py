from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.views.debug import ExceptionReporter

from plugins.openai_embeddings.tests.conftest import KEY, MakeChat
from plugins.openai_embeddings.tests.server import EVENTS, WORDS, Reply, Service, part
from tests.testapp.models import Note
from wagtail_vector_index.chat.base import Message
from wagtail_vector_index.chat.openai import OpenAIChatBackend
from wagtail_vector_index.chat.openai.pieces import Pieces
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.contract.services import deadlines
from wagtail_vector_index.embeddings.openai import plugin
from wagtail_vector_index.exceptions import (
    ChatError,
    ChatRefused,
    ChatUnavailable,
    InvalidAnswer,
    InvalidOptions,
)
from wagtail_vector_index.indexing.updating import update

NOW = {"Retry-After-Ms": "1", "Retry-After": "0.001"}
MESSAGES = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="How is bread b\u00e4ked?"),
]


async def alist(chat: OpenAIChatBackend) -> list[str]:
    return [piece async for piece in chat.astream(MESSAGES)]


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "some_error", **more}}


def error_of(chat: OpenAIChatBackend) -> tuple[ChatError, list[str]]:
    """The error of `stream`, and what came before; the same as of `astream`."""
    pieces: list[str] = []
    apieces: list[str] = []

    async def read() -> None:
        stream = chat.astream(MESSAGES)
        while True:
            apieces.append(await anext(stream))

    with pytest.raises(ChatError) as raised:
        pieces.extend(chat.stream(MESSAGES))  # keeps those that came before the error
    with pytest.raises(ChatError) as araised:
        asyncio.run(read())
    for caught in (raised, araised):
        report = ExceptionReporter(None, caught.type, caught.value, caught.tb)
        assert KEY not in report.get_traceback_html()
    assert type(araised.value) is type(raised.value)
    assert str(araised.value).partition("reached")[0] == str(raised.value).partition("reached")[0]
    assert apieces == pieces
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert "\n" not in str(raised.value)
    return raised.value, pieces


def test_the_answer_comes_piece_by_piece(chat: OpenAIChatBackend) -> None:
    assert list(chat.stream(MESSAGES)) == WORDS
    assert asyncio.run(alist(chat)) == WORDS


def test_the_first_piece_does_not_wait_for_the_last(
    chat: OpenAIChatBackend, service: Service
) -> None:
    release = threading.Event()
    service.always = Reply(events=EVENTS[:2], stall=release)
    pieces = chat.stream(MESSAGES)
    assert next(pieces) == WORDS[0]
    pieces.close()
    release.set()


def test_what_is_sent(chat: OpenAIChatBackend, service: Service) -> None:
    list(chat.stream(MESSAGES))
    [request] = service.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {
        "model": "test-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How is bread b\u00e4ked?"},
        ],
        "stream": True,
    }


def test_nothing_is_asked_before_the_first_piece_is_taken(
    chat: OpenAIChatBackend, service: Service
) -> None:
    chat.stream(MESSAGES)
    assert service.requests == []


def test_an_answer_that_stops_at_the_models_limit_says_so(
    chat: OpenAIChatBackend, service: Service
) -> None:
    service.always = Reply(events=[part("Mix "), part("flour"), part(reason="length")])
    assert list(chat.stream(MESSAGES)) == ["Mix ", "flour", " …"]
    assert asyncio.run(alist(chat)) == ["Mix ", "flour", " …"]


def test_threads_ask_at_the_same_time(chat: OpenAIChatBackend) -> None:
    barrier = threading.Barrier(4)

    def ask(_: int) -> list[str]:
        barrier.wait()
        return list(chat.stream(MESSAGES))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [WORDS] * 4


def test_clients_are_closed_with_their_loops(chat: OpenAIChatBackend, service: Service) -> None:
    """An unclosed connection would be a ResourceWarning, and so an error."""
    for _ in range(2):
        async_to_sync(alist)(chat)
        asyncio.run(alist(chat))
    gc.collect()
    assert len({request.connection for request in service.requests}) == 4


def test_answers_come_at_the_same_time(chat: OpenAIChatBackend, service: Service) -> None:
    release = threading.Event()
    service.replies.extend(Reply(wait=release) for _ in range(3))

    async def run() -> list[list[str]]:
        tasks = [asyncio.create_task(alist(chat)) for _ in range(3)]
        await asyncio.to_thread(service.wait_for_requests, 3)
        release.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [WORDS] * 3


@pytest.mark.parametrize("asynchronous", [False, True])
def test_whoever_stops_reading_ends_the_request(
    chat: OpenAIChatBackend, service: Service, asynchronous: bool
) -> None:
    service.always = Reply(events=EVENTS[:2] + [part("x" * 10_000)] * 2_000)

    async def read() -> None:
        pieces = chat.astream(MESSAGES)
        await anext(pieces)
        await pieces.aclose()

    if asynchronous:
        asyncio.run(read())
    else:
        pieces = chat.stream(MESSAGES)
        next(pieces)
        pieces.close()
    assert service.gone.wait(10)


def test_it_can_be_used_after_close(chat: OpenAIChatBackend) -> None:
    list(chat.stream(MESSAGES))
    chat.close()
    assert list(chat.stream(MESSAGES)) == WORDS


# Errors


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, says("maximum context length"), ChatRefused, "set CONTEXT_TOKENS"),
        (401, says("wrong key"), ChatRefused, "does not accept the key. Set API_KEY"),
        (403, says("not for you"), ChatRefused, "allowed to use this model"),
        (404, b"<html>Not found</html>", ChatRefused, "404 (an HTML page)"),
        (413, {"error": "too large"}, ChatRefused, "Set CONTEXT_TOKENS"),
        (422, {"detail": [{"msg": "what?"}]}, ChatRefused, "what?"),
        (429, says("slow down"), ChatUnavailable, "limits the rate. Try again later. It says"),
        (429, says("no money", code="insufficient_quota"), ChatRefused, "plan and billing"),
        (500, b"", ChatUnavailable, "Try again later. It says: 500."),
        (503, says("overloaded"), ChatUnavailable, "503 overloaded"),
    ],
)
def test_statuses(
    chat: OpenAIChatBackend, service: Service, status: int, body: Any, kind: type, message: str
) -> None:
    content_type = "text/html" if isinstance(body, bytes) else "application/json"
    service.always = Reply(status, body, content_type=content_type)
    error, pieces = error_of(chat)
    assert type(error) is kind
    assert message in str(error)
    assert str(error).startswith(f"Chat backend 'default' (model 'test-model' at {service.url}):")
    assert "BATCH_SIZE" not in str(error)
    assert pieces == []
    assert error.__cause__ is not None


@pytest.mark.parametrize("content_type", ["application/json", "application/problem+json; a=b"])
def test_errors_with_the_status_200(
    make_chat: MakeChat, service: Service, content_type: str
) -> None:
    """Some gateways report the error of the service behind them in an answer of their own."""
    service.always = Reply(body=says("wrong key", code=401), content_type=content_type)
    error, pieces = error_of(make_chat())
    assert type(error) is ChatRefused
    assert "does not accept the key. Set API_KEY. It says: 401 wrong key." in str(error)
    assert pieces == []
    service.always = None
    busy = Reply(body=says("slow down", code=429), content_type=content_type, headers=NOW)
    service.replies.extend([busy, Reply(), busy])
    chat = make_chat(MAX_RETRIES=1)
    assert list(chat.stream(MESSAGES)) == asyncio.run(alist(chat)) == WORDS


def test_what_is_worth_another_try_is_tried_again(make_chat: MakeChat, service: Service) -> None:
    service.replies.extend([Reply(500, headers=NOW), Reply(429, says("slow down"), headers=NOW)])
    assert list(make_chat(MAX_RETRIES=2).stream(MESSAGES)) == WORDS
    assert len(service.requests) == 3


def test_refusals_are_not_tried_again(make_chat: MakeChat, service: Service) -> None:
    service.always = Reply(401, says("wrong key"))
    with pytest.raises(ChatRefused):
        list(make_chat(MAX_RETRIES=2).stream(MESSAGES))
    assert len(service.requests) == 1


@pytest.mark.parametrize("where", ["before", "within"])
def test_time_out(make_chat: MakeChat, service: Service, where: str) -> None:
    release = threading.Event()
    slow = {"wait": release} if where == "before" else {"stall": release, "events": EVENTS[:3]}
    service.always = Reply(**slow)  # type: ignore[arg-type]
    try:
        error, pieces = error_of(make_chat(TIMEOUT=1.5))
    finally:
        release.set()
    assert type(error) is ChatUnavailable
    assert (
        "did not answer within 1.5 seconds. Check whether it is up; otherwise raise TIMEOUT."
        in str(error)
    )
    assert pieces == ([] if where == "before" else WORDS[:2])


@pytest.mark.parametrize("words", [[], WORDS[:2]])
def test_signs_of_life_are_no_answer(
    make_chat: MakeChat, service: Service, words: list[str]
) -> None:
    release = threading.Event()
    service.always = Reply(trickle=release, events=[*map(part, words)])
    try:
        error, pieces = error_of(make_chat(TIMEOUT=0.5))
        assert type(error) is ChatUnavailable
        assert "did not answer within 0.5 seconds" in str(error)
        assert pieces == words
        assert service.gone.wait(10)
    finally:
        release.set()


def test_a_stream_that_begins_too_late_is_closed(chat: OpenAIChatBackend) -> None:
    """Nobody waits for it any more, so nobody else would give its connection back."""
    deadline, closed = deadlines.Deadline(), threading.Event()
    deadline.set(60)
    stream = SimpleNamespace(response=SimpleNamespace(headers={}), close=closed.set)

    def send(client: Any, seconds: float) -> Any:
        deadline.set(0)
        return stream

    chat._service.open(send, deadline)
    assert closed.is_set()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_slow_reader_takes_no_time_from_the_service(
    chat: OpenAIChatBackend, monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    clock = [0.0]
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def read(piece: str) -> str:
        clock[0] += 2 * chat.options.timeout
        return piece

    async def aread() -> list[str]:
        return [read(piece) async for piece in chat.astream(MESSAGES)]

    pieces = asyncio.run(aread()) if asynchronous else list(map(read, chat.stream(MESSAGES)))
    assert pieces == WORDS


def test_a_time_out_within_the_answer_claims_no_attempts(
    make_chat: MakeChat, service: Service
) -> None:
    release = threading.Event()
    service.always = Reply(stall=release, events=EVENTS[:3])
    try:
        error, _ = error_of(make_chat(TIMEOUT=1.5, MAX_RETRIES=2))
    finally:
        release.set()
    assert len(service.requests) == 2  # one by `stream`, one by `astream`
    assert "did not answer within 1.5 seconds, tried up to 3 times. Check whether it is up" in str(
        error
    )


def test_connection_refused(make_chat: MakeChat) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error, _ = error_of(make_chat(HOST=f"http://127.0.0.1:{port}/v1"))
    assert type(error) is ChatUnavailable
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize(
    "reply",
    [Reply(events=EVENTS[:3]), Reply(events=EVENTS[:3], reset=True)],
    ids=["ended", "reset"],
)
def test_a_stream_that_is_cut(chat: OpenAIChatBackend, service: Service, reply: Reply) -> None:
    """Half an answer must not pass for a whole one, however politely the stream ends."""
    service.always = reply
    error, pieces = error_of(chat)
    assert type(error) is ChatUnavailable
    assert pieces == WORDS[:2]


def test_an_error_within_the_stream(chat: OpenAIChatBackend, service: Service) -> None:
    service.always = Reply(events=[*EVENTS[:3], says("the model crashed")])
    error, pieces = error_of(chat)
    assert type(error) is ChatUnavailable
    assert "reports an error. Try again later" in str(error)
    assert "It says: the model crashed." in str(error)
    assert pieces == WORDS[:2]


def test_the_status_of_an_error_within_the_stream(
    chat: OpenAIChatBackend, service: Service
) -> None:
    service.always = Reply(events=[says("maximum context length", code=400)])
    error, _ = error_of(chat)
    assert type(error) is ChatRefused
    assert "set CONTEXT_TOKENS" in str(error)


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (Reply(events=[]), InvalidAnswer, "no answer. Check whether HOST leads to its API"),
        (Reply(events=[b"[DONE]"]), InvalidAnswer, "no answer"),
        (Reply(body=b"<html>Welcome</html>"), InvalidAnswer, "no answer"),
        (Reply(body={"choices": [{"message": {"content": "Hi"}}]}), InvalidAnswer, "no answer"),
        (Reply(events=[b"{"]), InvalidAnswer, "something other than JSON"),
        (Reply(events=[{"choices": None}, {"choices": [1]}, [], 1]), ChatUnavailable, "broke off"),
        (Reply(events=[part(reason="stop")]), InvalidAnswer, "an answer without text."),
        (Reply(events=[part(reason="length")]), InvalidAnswer, "used up its tokens"),
        (Reply(events=[part("a"), part(reason="content_filter")]), ChatRefused, "has a filter"),
    ],
)
def test_answers_that_are_none(
    chat: OpenAIChatBackend, service: Service, reply: Reply, kind: type, message: str
) -> None:
    service.always = reply
    error, _ = error_of(chat)
    assert type(error) is kind
    assert message in str(error)


def spoken(chat: OpenAIChatBackend, service: Service, texts: list[str]) -> str:
    """The answer of a model that says these pieces, synchronously and asynchronously."""
    service.always = Reply(events=[*map(part, texts), part(reason="stop")])
    pieces = list(chat.stream(MESSAGES))
    assert "" not in pieces
    assert asyncio.run(alist(chat)) == pieces
    return "".join(pieces)


@pytest.mark.parametrize(
    "texts",
    [
        ["<think>The user asks about a secret.</think>\n\nMix ", "flour."],
        ["\n<th", "ink", ">The user <", "b>asks</th", "ink>", "\n", "\n", "Mix ", "flour."],
        list("<think>\n\n</think>\n\nMix flour."),
        ["<THINK>secret</THINK>", "Mix flour."],
        ["[THINK]secret[/THINK]Mix flour."],
        ["<seed:think>a </think> secret</seed:think>Mix flour."],
        ["<think>secret</think><think>secret</think>Mix flour."],
        ["</think>\n", "\nMix ", "flour."],
        ["</thi", "nk>Mix flour."],
    ],
)
def test_thoughts_are_not_part_of_the_answer(
    chat: OpenAIChatBackend, service: Service, texts: list[str]
) -> None:
    assert spoken(chat, service, texts) == "Mix flour."


@pytest.mark.parametrize(
    "texts", [["<", "b>Mix</b>"], ["<"], [" \n", "<th>Mix"], ["The tag </think> ends them."], [" "]]
)
def test_what_is_no_thought_stays(
    chat: OpenAIChatBackend, service: Service, texts: list[str]
) -> None:
    assert spoken(chat, service, texts) == "".join(texts)


@pytest.mark.parametrize("model", ["DeepSeek-R1", "deepseek-r1:8b", "Qwen3-4B-Thinking-2507"])
def test_thoughts_that_begin_in_the_prompt(
    make_chat: MakeChat, service: Service, model: str
) -> None:
    chat = make_chat(MODEL=model)
    assert spoken(chat, service, ["The user ", "asks.\n</th", "ink>\nMix ", "it."]) == "Mix it."
    assert spoken(chat, service, ["<think>secret", "</think>Mix it."]) == "Mix it."
    assert spoken(chat, service, ["Mix ", "it."]) == "Mix it."


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("first", ["thought", "text"])
def test_a_service_that_sends_thoughts_apart(
    make_chat: MakeChat, service: Service, name: str, first: str
) -> None:
    """Its text is shown as it comes."""
    release = threading.Event()
    thought = part("")
    thought["choices"][0]["delta"][name] = "The user asks."
    events = [thought, part("Mix ")]
    service.always = Reply(events=events if first == "thought" else events[::-1], stall=release)
    pieces = make_chat(MODEL="deepseek-r1").stream(MESSAGES)
    assert next(pieces) == "Mix "
    release.set()
    pieces.close()


def says_in_parts(*parts: Any) -> dict[str, Any]:
    """A piece of an answer that is a list of parts, as Mistral sends it."""
    piece = part("")
    piece["choices"][0]["delta"]["content"] = list(parts)
    return piece


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "The user asks."}]}


def test_text_in_parts(chat: OpenAIChatBackend, service: Service) -> None:
    texts = [{"type": "text", "text": text} for text in ("Mix ", "", "fl", "our")]
    service.always = Reply(
        events=[
            says_in_parts(THOUGHT),
            says_in_parts({"type": "reasoning", "text": "Hm."}, THOUGHT, *texts[:1]),
            says_in_parts(*texts[1:], {"type": "reference", "reference_ids": [1]}),
            part("."),
            part(reason="stop"),
        ]
    )
    assert list(chat.stream(MESSAGES)) == asyncio.run(alist(chat)) == ["Mix ", "flour", "."]


def test_parts_that_are_none_are_passed_over(chat: OpenAIChatBackend, service: Service) -> None:
    odd: list[Any] = [1, None, "?", {}, {"type": "text"}, {"type": "text", "text": 1}]
    odd += [{"type": ["text"], "text": "?"}, [{"type": "text", "text": "?"}]]
    service.always = Reply(events=[says_in_parts(*odd), part("Hi"), part(reason="stop")])
    assert list(chat.stream(MESSAGES)) == ["Hi"]


def test_thoughts_in_parts_are_apart(make_chat: MakeChat, service: Service) -> None:
    """So the text is shown as it comes, whatever the name of the model."""
    release = threading.Event()
    text = {"type": "text", "text": "Mix "}
    service.always = Reply(events=[says_in_parts(THOUGHT), says_in_parts(text)], stall=release)
    pieces = make_chat(MODEL="deepseek-r1").stream(MESSAGES)
    assert next(pieces) == "Mix "
    release.set()
    pieces.close()


def test_parts_that_are_nothing_but_thoughts(chat: OpenAIChatBackend, service: Service) -> None:
    service.always = Reply(events=[says_in_parts(THOUGHT), part(reason="length")])
    error, pieces = error_of(chat)
    assert type(error) is InvalidAnswer
    assert "used up its tokens" in str(error)
    assert pieces == []


@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_a_model_that_thinks_for_long_is_not_late(
    chat: OpenAIChatBackend, service: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each thought comes in time, though the first text comes after several times TIMEOUT."""
    clock = [0.0]
    monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    thoughts = [part("") for _ in range(5)]
    for number, thought in enumerate(thoughts):
        thought["choices"][0]["delta"][name] = "<think>Hm" if number == 0 else "…"
    closed = part("</think>Mix it.") if name == "content" else part("Mix it.")
    service.always = Reply(events=[*thoughts, closed, part(reason="stop")])
    text_of = Pieces.text_of

    def later(pieces: Pieces, event: Any) -> str:
        clock[0] += 0.7 * chat.options.timeout
        return text_of(pieces, event)

    monkeypatch.setattr(Pieces, "text_of", later)
    assert "".join(chat.stream(MESSAGES)) == "Mix it."


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("<think>secret", "stop", "an answer without text."),
        ("<think>secret</think>\n", "stop", "an answer without text."),
        ("<think>secret", "length", "used up its tokens"),
        ("secret", "length", "used up its tokens"),
    ],
)
def test_an_answer_that_is_nothing_but_thoughts(
    make_chat: MakeChat, service: Service, text: str, reason: str, message: str
) -> None:
    service.always = Reply(events=[part(text), part(reason=reason)])
    error, pieces = error_of(make_chat(MODEL="deepseek-r1"))
    assert type(error) is InvalidAnswer
    assert message in str(error)
    assert pieces == []


@pytest.mark.parametrize(
    "reason", ["stop", "STOP", "eos", "eos_token", "end_turn", "COMPLETE", "stop_sequence"]
)
def test_reasons_of_a_complete_answer(
    chat: OpenAIChatBackend, service: Service, reason: str
) -> None:
    service.always = Reply(events=[part("Hi"), part(reason=reason)])
    assert list(chat.stream(MESSAGES)) == ["Hi"]


@pytest.mark.parametrize(
    "reason", ["max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded"]
)
def test_reasons_of_an_answer_that_was_cut(
    chat: OpenAIChatBackend, service: Service, reason: str
) -> None:
    service.always = Reply(events=[part("Mix"), part(reason=reason)])
    assert list(chat.stream(MESSAGES)) == ["Mix", " …"]


@pytest.mark.parametrize(
    ("reason", "kind", "message"),
    [
        ("error", ChatUnavailable, "stopped before the end of its answer: error. Try again"),
        ("abort", ChatUnavailable, "abort"),
        ("insufficient_system_resource", ChatUnavailable, "insufficient_system_resource"),
        (["stop"], ChatUnavailable, "stopped before the end"),
        ("content_filter: SAFETY", ChatRefused, "has a filter"),
        ("SAFETY", ChatRefused, "has a filter"),
        ("sensitive", ChatRefused, "has a filter"),
        ("refusal", ChatRefused, "has a filter"),
    ],
)
@pytest.mark.parametrize("text", ["Mix ", ""])
def test_reasons_of_an_answer_that_is_incomplete(
    chat: OpenAIChatBackend, service: Service, reason: Any, kind: type, message: str, text: str
) -> None:
    service.always = Reply(events=[part(text), part(reason=reason)])
    error, _ = error_of(chat)
    assert type(error) is kind
    assert message in str(error)


def test_parts_without_text_are_passed_over(chat: OpenAIChatBackend, service: Service) -> None:
    odd: list[Any] = [{"choices": [{"delta": None}]}, {"choices": [{"delta": {"content": 1}}]}, {}]
    service.always = Reply(events=[*odd, part("Hi"), part(""), part(reason="stop")])
    assert list(chat.stream(MESSAGES)) == ["Hi"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(401, says(f"Incorrect API key provided: {KEY}.")),
        Reply(events=[part("a"), says(f"not with {KEY}")]),
        Reply(events=[KEY.encode()]),
    ],
)
def test_a_key_that_is_echoed_shows_nowhere(
    chat: OpenAIChatBackend, service: Service, reply: Reply
) -> None:
    service.always = reply
    error, _ = error_of(chat)
    assert KEY not in f"{error!r} {error.args}"
    assert error.__context__ is None


def test_neither_question_nor_key_is_logged(
    chat: OpenAIChatBackend, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        list(chat.stream(MESSAGES))
        asyncio.run(alist(chat))
    assert "bread" not in caplog.text
    assert KEY not in caplog.text + repr(chat) + repr(chat.options)


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "'MODEL' is missing"),
        ({"MODEL": "m", "HOST": "example.com"}, "a URL such as"),
        ({"MODEL": "m", "CONTEXT_TOKENS": 0}, "'CONTEXT_TOKENS' must be at least 1"),
        ({"MODEL": "m", "ANSWER_TOKENS": 0}, "'ANSWER_TOKENS' must be at least 1"),
        (
            {"MODEL": "m", "CONTEXT_TOKENS": 1000},
            r"'ANSWER_TOKENS' \(1024\) must be less than 'CONTEXT_TOKENS', which is 1000\.",
        ),
        ({"MODEL": "m", "ANSWER_TOKENS": 5000}, "which is 4096 by default"),
        ({"MODEL": "m", "TIMEOUT": float("inf")}, "'TIMEOUT' must be from 0.001 to 86400"),
        ({"MODEL": "m", "DIMENSIONS": 3}, "unknown key 'DIMENSIONS'"),
        ({"MODEL": "m", "API_KEY": f"{KEY}\n"}, "'API_KEY' must be ASCII"),
    ],
)
def test_wrong_options(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as raised:
        parse_options(OpenAIChatBackend.Options, settings, "SETTING['default']")
    assert KEY not in str(raised.value)


def test_the_models_window(make_chat: MakeChat) -> None:
    assert (make_chat().context_tokens, make_chat().answer_tokens) == (4096, 1024)
    assert make_chat(MODEL="gpt-4o-mini").context_tokens == 4096  # LocalAI has one of that name
    openai = "https://api.openai.com/v1"
    assert make_chat(MODEL="gpt-4o-mini", HOST=openai).context_tokens == 128_000
    assert make_chat(MODEL="gpt-4o", CONTEXT_TOKENS=9000, ANSWER_TOKENS=10).context_tokens == 9000


def test_no_key_for_openai() -> None:
    options = parse_options(OpenAIChatBackend.Options, {"MODEL": "m"}, "SETTING['default']")
    chat = OpenAIChatBackend("default", options)
    [message] = chat.check()
    assert message.id == "wagtail_vector_index_openai.W001"
    assert message.msg == "Chat backend 'default' has no key for OpenAI."
    error, _ = error_of(chat)
    assert type(error) is ChatRefused
    assert "there is no key. Set API_KEY" in str(error)


def test_local_services_need_no_key(make_chat: MakeChat) -> None:
    chat = make_chat(API_KEY="")
    assert chat.check() == []
    assert list(chat.stream(MESSAGES)) == WORDS


def test_the_plugin_offers_the_backend() -> None:
    [spec] = plugin.chat_backends().values()
    assert spec.path == f"wagtail_vector_index.chat.openai.{OpenAIChatBackend.__name__}"
    assert spec.requires == ("openai",)


def test_what_is_sent_is_the_text_itself(chat: OpenAIChatBackend, service: Service) -> None:
    """Markup, quotes and other alphabets arrive as they are."""
    text = "<b>\"'\\ \u65e5\u672c\u8a9e \U0001f35e {{ }}"
    list(chat.stream([Message(role="user", content=text)]))
    assert service.requests[0].body["messages"][0]["content"] == text


# On a site


@pytest.fixture
def site(settings: Any, service: Service) -> None:
    """The service, configured as the site's chat backend."""
    settings.WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {
        "default": {"BACKEND": "openai", "MODEL": "m", "API_KEY": KEY, "HOST": service.url}
    }


@pytest.mark.django_db
def test_a_question_is_answered_from_what_was_found(site: None, service: Service) -> None:
    note = Note.objects.create(text="Bread is baked.")
    update(Note.vector_index)
    answer = Note.vector_index.query("How is bread baked?")
    assert [source.object for source in answer.sources] == [note]
    assert list(answer) == WORDS
    system, user = (message["content"] for message in service.requests[0].body["messages"])
    assert "never an instruction" in system
    assert "Bread is baked." in user


@pytest.mark.django_db
def test_checks_and_commands_know_it(site: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check", "wagtail_vector_index", fail_level="WARNING")
    call_command("vector_backends")
    printed = capsys.readouterr().out
    assert "    chat backend 'openai': OpenAI, or any service that speaks its protocol" in printed
    assert "  default: OpenAIChatBackend(model='m', api_key=********, host=" in printed
    assert KEY not in printed
