"""Real services that are down, slow or refuse: publishing does not notice."""

from __future__ import annotations

import threading
import time

import pytest
from django.utils import timezone

from plugins.openai_embeddings.tests.server import Reply, running_service
from tests.servers import free_port
from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.background.worker import worker
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import Collection, PendingChange

NOTES = "testapp.Note"

#: Far less than the time for which the service below does not answer.
SOON = 5.0


@pytest.fixture
def service():
    with running_service() as service:
        yield service


def embeddings(url, **more):
    options = {"MODEL": "test", "API_KEY": "k", "DIMENSIONS": 8, "BATCH_SIZE": 8, "MAX_RETRIES": 0}
    return {"default": {"BACKEND": "openai", "HOST": url, **options, **more}}


@pytest.fixture
def built(transactional_db, service, settings, bring_up_to_date, monkeypatch):
    """An index of one note, whose embeddings come from a service."""
    monkeypatch.setenv("NO_PROXY", "*")
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = embeddings(service.url)
    Note.objects.create(text="bread")
    bring_up_to_date(NOTES)
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    service.requests.clear()
    yield
    assert worker().wait(20)


def try_again():
    """As if the time until the next attempt had passed."""
    Collection.objects.update(next_attempt=timezone.now())
    worker().wake(NOTES)
    assert worker().wait(20)


def texts(service):
    return [text for request in service.requests for text in request.body["input"]]


@pytest.mark.parametrize("reply", [Reply(status=503), Reply(status=429), Reply(drop=True)])
def test_a_service_that_answers_errors(built, service, found, reply):
    service.always = reply
    for text in ("first", "second"):
        Note.objects.create(text=text)
        assert worker().wait(20)
    status = status_of(Note.vector_index)
    assert (status.pending, status.failed) == (2, 1)
    (failure,) = status.failures
    assert failure.attempts == 1
    assert failure.last_error.startswith("EmbeddingUnavailable: ")
    assert status.active.next_attempt > timezone.now()
    service.always = None
    service.requests.clear()
    try_again()
    assert texts(service) == ["first", "second"]
    assert status_of(Note.vector_index).is_ok
    assert found(Note.vector_index, "second", limit=1) == ["second"]


def test_a_service_that_takes_its_time(built, service, found):
    """It answers once the notes are published, and not before."""
    answers = threading.Event()
    service.always = Reply(wait=answers)
    started = time.monotonic()
    Note.objects.create(text="first")
    service.wait_for_requests(1)
    Note.objects.create(text="second")
    assert time.monotonic() - started < SOON
    assert PendingChange.objects.filter(index=NOTES).count() == 2
    answers.set()
    assert worker().wait(20)
    assert texts(service) == ["first", "second"]
    assert found(Note.vector_index, "second", limit=1) == ["second"]


def test_an_embedding_service_that_is_not_there(built, service, settings, found):
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = embeddings(
        f"http://127.0.0.1:{free_port()}/v1"
    )
    note = Note.objects.create(text="cake")
    assert worker().wait(20)
    assert status_of(Note.vector_index).failed == 1
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = embeddings(service.url)
    try_again()
    assert found(Note.vector_index, "cake", limit=1) == [note.text]


def test_a_vector_backend_that_is_not_there(built, service, settings, found):
    port = free_port()
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "numpy"},
        "gone": {"BACKEND": "qdrant", "HOST": f"http://127.0.0.1:{port}"},
    }
    Collection.objects.update(vector_backend="gone")
    Note.objects.create(text="cake")
    assert worker().wait(20)
    status = status_of(Note.vector_index)
    assert (status.pending, status.active.is_behind, status.active.attempts) == (0, True, 1)
    assert "cannot be reached" in status.active.last_error
    Collection.objects.update(vector_backend="default")
    service.requests.clear()
    try_again()
    assert texts(service) == []
    assert status_of(Note.vector_index).is_ok
    assert found(Note.vector_index, "cake", limit=1) == ["cake"]


def test_a_text_that_is_refused_holds_up_no_other(built, service, found):
    def reply():
        poisoned = "poison" in service.requests[-1].body["input"]
        return Reply(status=400, body={"error": {"message": "no"}}) if poisoned else Reply()

    service.next_reply = reply
    written = ["poison" if number == 11 else f"note{number}" for number in range(30)]
    with_one_commit(written)
    assert worker().wait(20)
    status = status_of(Note.vector_index)
    assert (status.pending, status.failed) == (1, 1)
    assert "EmbeddingRefused" in status.failures[0].last_error
    everything = found(Note.vector_index, "note1", limit=40)
    assert sorted(everything) == sorted(["bread", *written[:11], *written[12:]])


def null_for_poison(answer, texts):
    """One null among the vectors."""
    data = [
        {**item, "embedding": None} if text == "poison" else item
        for item, text in zip(answer["data"], texts, strict=True)
    ]
    return {**answer, "data": data}


NAN = {"error": {"message": "json: unsupported value: NaN"}}
TOO_LONG = {"error": {"code": 500, "message": "input (900 tokens) is too large to process"}}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (lambda never, texts: Reply(500, NAN), "It says: 500"),
        (lambda never, texts: Reply(500, TOO_LONG), "It says: 500"),
        (lambda never, texts: Reply(200, NAN), "reports an error"),
        (lambda never, texts: Reply(502, b"<html>", content_type="text/html"), "502"),
        (lambda never, texts: Reply(drop=True), "cannot be reached"),
        (lambda never, texts: Reply(wait=never), "did not answer within 1 seconds"),
        (
            lambda never, texts: Reply(body=lambda answer: null_for_poison(answer, texts)),
            "neither numbers nor base64",
        ),
    ],
    ids=["nan", "too-long", "error-in-a-200", "gateway", "crash", "time-out", "null"],
)
def test_a_poisoned_text_holds_up_no_other(built, service, settings, found, reply, says):
    """However the service says it. Visitors search meanwhile as ever."""
    url, never = service.url, threading.Event()
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = embeddings(url, TIMEOUT=1.0)

    def next_reply():
        sent = service.requests[-1].body["input"]
        return reply(never, sent) if "poison" in sent else Reply()

    service.next_reply = next_reply
    written = ["poison" if number == 11 else f"note{number}" for number in range(30)]
    with_one_commit(written)
    assert worker().wait(30)
    never.set()
    status = status_of(Note.vector_index)
    assert (status.pending, status.failed) == (1, 1)
    [failure] = status.failures
    assert says in failure.last_error
    assert failure.object_key.startswith("testapp.note:")
    assert status.active.next_attempt is None  # the index waits for no service
    everything = found(Note.vector_index, "note1", limit=40)
    assert sorted(everything) == sorted(["bread", *written[:11], *written[12:]])
    # Each text is paid for once but for those that shared a batch with the poisoned one.
    assert max(map(texts(service).count, written[16:])) == 1


def test_a_rate_limit_is_not_taken_for_poisoned_texts(built, service):
    """A short text may pass where many don't."""

    def next_reply():
        many = len(service.requests[-1].body["input"]) > 1
        return Reply(429, {"error": {"message": "too many tokens per minute"}}) if many else Reply()

    service.next_reply = next_reply
    with_one_commit([f"note{number}" for number in range(20)])
    assert worker().wait(20)
    sent = texts(service)
    assert len(sent) == len(set(sent))  # those under way at the same time, and none again
    status = status_of(Note.vector_index)
    assert (status.pending, status.failed) == (20, 20)
    assert status.active.next_attempt > timezone.now()


def with_one_commit(texts):
    from django.db import transaction

    with transaction.atomic():
        for text in texts:
            Note.objects.create(text=text)


def test_publishing_a_page_while_both_services_are_gone(
    built, settings, transactional_db, root, bring_up_to_date
):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    page = root.add_child(instance=ArticlePage(title="Bread", intro="<p>flour</p>"))
    bring_up_to_date("testapp.ArticlePage")
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = embeddings(
        f"http://127.0.0.1:{free_port()}/v1"
    )
    page.title = "Cake"
    page.save_revision().publish()
    assert worker().wait(20)
    page.refresh_from_db()
    assert page.title == "Cake"
    assert status_of(ArticlePage.vector_index).failed == 1
    assert ArticlePage.objects.live().get().title == "Cake"
