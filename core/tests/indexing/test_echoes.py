"""Services and databases that repeat content in their errors: none of it is kept or logged."""

from __future__ import annotations

import json
import logging
import unicodedata
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError, IntegrityError, OperationalError, connection
from django.utils import timezone
from django_tasks import task_backends

from plugins.openai_embeddings.tests.server import DIMENSIONS, Reply, running_service
from tests.testapp.models import Author, Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidEmbeddings,
)
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import draining
from wagtail_vector_index.indexing.failures import error_text
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, PendingChange

NOTES = "testapp.Note"
SECRET = "Zoë Müller-Jansen was born on 12 March 1987"
ECHO = f"Jansen, {SECRET} is no value for 'author'"
NEW_LINES = SECRET.replace(" ", "\n")
WORDS = ["zoë", "zoe", "müller", "muller", "jansen", "march", "1987", "m\\u00fcller", "ller"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def built(settings, embedder):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
    Note.objects.create(text="bread")
    update(get_index(NOTES))
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    assert task_backends["default"]


def kept(caplog):
    """Everything that is stored and logged after an attempt with the secret text."""
    with caplog.at_level(logging.DEBUG, "wagtail_vector_index"):
        attempt(NOTES)
    stored = [
        *PendingChange.objects.values_list("last_error", flat=True),
        *Collection.objects.values_list("last_error", flat=True),
    ]
    logged = [
        logging.Formatter().format(record)
        for record in caplog.records
        if record.name.startswith("wagtail_vector_index")
    ]
    assert any(stored)
    assert logged
    told = "\n".join([*stored, *logged])
    assert not [word for word in WORDS if word in told.casefold()], told
    return told


@pytest.mark.parametrize(
    ("kind", "message", "told"),
    [
        (EmbeddingRefused, f"cannot embed {SECRET!r}", "EmbeddingRefused: cannot embed"),
        (EmbeddingUnavailable, f"fails at {SECRET[:30]}…", "EmbeddingUnavailable: fails at"),
        (InvalidEmbeddings, f"NaN for {SECRET.upper()}", "InvalidEmbeddings: NaN for"),
        (ValueError, json.dumps({"input": SECRET}), "ValueError: {"),
        (RuntimeError, f"token jansen of {json.dumps(SECRET)}", "RuntimeError: token"),
        (RuntimeError, f"body {json.dumps(json.dumps(NEW_LINES))}", "RuntimeError: body"),
        (ValueError, f"bad {SECRET.encode()!r}", "ValueError: bad b"),
        (ValueError, f"bad url ?q={quote(SECRET)}", "ValueError: bad url ?q="),
        (ValueError, f"bad url ?q={quote(SECRET, encoding='latin-1')}", "ValueError: bad url ?q="),
        (KeyError, "zoe muller-jansen", "KeyError: "),
        (KeyError, unicodedata.normalize("NFD", SECRET), "KeyError: "),
    ],
)
def test_an_embedding_backend(built, embedder, caplog, kind, message, told):
    def echo(texts):
        if SECRET in texts:
            raise kind(message)

    embedder.before = echo
    Note.objects.create(text=SECRET)
    Note.objects.create(text="tea")
    assert told in kept(caplog)


def test_a_plugin(built, caplog, monkeypatch):
    def redact(index, documents):
        raise ValueError(f"cannot redact {documents[0]!r}")

    plugin = SimpleNamespace(
        function=redact, argnames=("index", "documents"), plugin_name="redactor"
    )
    monkeypatch.setattr(
        "wagtail_vector_index.plugins.calling._implementations",
        lambda hook: [plugin] if hook == "documents_prepared" else [],
    )
    Note.objects.create(text=SECRET)
    assert "documents_prepared of redactor failed: ValueError: cannot redact" in kept(caplog)


@pytest.fixture
def service(settings, built):
    with running_service() as running:
        settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {
                "BACKEND": "openai",
                "MODEL": "m",
                "HOST": running.url,
                "DIMENSIONS": DIMENSIONS,
                "MAX_RETRIES": 0,
                "TIMEOUT": 5.0,
            }
        }
        update(get_index(NOTES))
        yield running


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, {"error": {"message": f"Invalid input: {SECRET}"}}, "It says: 400 …"),
        (422, {"detail": [{"msg": "too long", "input": [SECRET]}]}, "It says: 422 …"),
        (500, {"error": f"unsupported value: NaN in {SECRET}"}, "It says: 500 …"),
        (500, SECRET.encode(), "fails. Try again later"),
        (500, b"", "It says: 500."),
        (503, {"error": "no"}, "It says: 503 …"),
        (200, {"error": {"message": f"cannot read {SECRET}"}}, "reports an error"),
        (200, SECRET.encode("latin-1"), "something other than JSON"),
        (200, {"data": [{"index": SECRET, "embedding": [1.0]}]}, "InvalidEmbeddings"),
    ],
)
def test_a_service_for_embeddings(service, caplog, capsys, status, body, told):
    service.always = Reply(status, body)
    Note.objects.create(text=SECRET)
    assert told in kept(caplog)
    with pytest.raises(CommandError) as failure:
        call_command("update_vector_indexes", NOTES)
    said = f"{failure.value}{capsys.readouterr()}"
    assert not [word for word in WORDS if word in said], said


@pytest.mark.parametrize("kind", [BackendRefused, BackendUnavailable, RuntimeError])
def test_a_vector_backend(settings, server, built, caplog, kind):
    def echo(method):
        raise kind(ECHO)

    vector_backends["default"].before = echo
    Note.objects.create(text="tea", author=Author.objects.create(name=SECRET))
    assert f"{kind.__name__}: …" in kept(caplog)


def test_a_database(built, monkeypatch, caplog):
    """PostgreSQL quotes the row in the detail, and the value in some messages."""

    class Detailed(Exception):
        sqlstate = "23514"

    def refuse(*arguments, **named):
        raise OperationalError(f"deadlock detected\nDETAIL:  Failing row contains ({SECRET}).")

    with monkeypatch.context() as patched:
        patched.setattr(draining, "write", refuse)
        Note.objects.create(text=SECRET)
        with caplog.at_level(logging.DEBUG, "wagtail_vector_index"):
            attempt(NOTES)
    assert "OperationalError: deadlock detected" in caplog.text
    assert "draining.py" in caplog.text
    assert not [word for word in WORDS if word in caplog.text]
    error = IntegrityError(f"Key (title)=({SECRET}) already exists.")
    error.__cause__ = Detailed()
    assert error_text(error) == "IntegrityError: 23514"
    assert error_text(DataError(f'invalid input: "{SECRET}"')) == "DataError"


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL")
def test_postgresql_itself(built):
    with pytest.raises(DataError) as failure, connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", [SECRET])
    assert error_text(failure.value) == "DataError: 22P02"


def test_what_a_site_s_own_code_says_is_kept(built, monkeypatch):
    """It is the object's own error, and goes with it."""

    def wrong(*arguments):
        raise AttributeError("'NoneType' object has no attribute 'name'")

    monkeypatch.setattr("wagtail_vector_index.indexing.draining.prepare", wrong)
    Note.objects.create(text="object name")
    attempt(NOTES)
    row = PendingChange.objects.get(index=NOTES)
    assert row.last_error == "AttributeError: 'NoneType' object has no attribute 'name'"
    assert row.next_attempt > timezone.now()
