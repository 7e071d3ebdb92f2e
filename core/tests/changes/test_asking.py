"""Indexes whose content depends on the database, which nothing may ask while apps are loaded."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import connection, transaction
from django.db.models import signals
from django.dispatch import Signal

from tests.testapp.models import Author, Note
from wagtail_vector_index import checks
from wagtail_vector_index.changes import interests, receivers
from wagtail_vector_index.content.without_database import DatabaseAsked, without_database
from wagtail_vector_index.models import PendingChange


@pytest.fixture
def asking(monkeypatch):
    """An index of the notes of the author named "editor", who must exist."""
    index = type(Note.vector_index)()

    def get_querysets():
        editor = Author.objects.get(name="editor")
        return [Note.objects.filter(author=editor)]

    vars(index).update(get_querysets=get_querysets, name="asking")
    for module in (interests, checks):
        monkeypatch.setattr(module, "all_indexes", lambda: [index])
    return index


@pytest.fixture
def heard(asking, monkeypatch):
    connected = []
    connect = Signal.connect

    def noting(signal, receiver, sender=None, *arguments, **named):
        connected.append((signal, receiver, sender))
        return connect(signal, receiver, sender, *arguments, **named)

    monkeypatch.setattr(Signal, "connect", noting)
    heard = receivers.Receivers()
    heard.connect()
    yield heard
    for signal, receiver, sender in connected:
        signal.disconnect(receiver, sender=sender)


def pending():
    return PendingChange.objects.filter(index="asking").count()


def test_without_a_database_nothing_is_asked(asking):
    """This test may not use the database, and the checks don't."""
    assert checks.check_indexes() == []
    found, unread = interests.declared_interests()
    assert (dict(found), unread) == ({}, [asking])


@pytest.mark.django_db
def test_an_error_that_hides_the_question_is_recognized():
    with pytest.raises(DatabaseAsked, match="default"), without_database(), suppress(Exception):
        Author.objects.first()
    with pytest.raises(ZeroDivisionError), without_database():
        raise ZeroDivisionError
    assert Author.objects.first() is None


@pytest.mark.django_db
def test_changes_are_noticed_from_the_first_on(heard):
    editor = Author.objects.create(name="editor")
    note = Note.objects.create(text="bread", author=editor)
    assert pending() == 1
    note.delete()
    assert pending() == 2
    assert not heard._asking


@pytest.mark.django_db
def test_a_deletion_may_be_the_first_change(heard):
    Author.objects.bulk_create([Author(name="editor")])
    Note.objects.bulk_create([Note(text="bread", author=Author.objects.get())])
    Note.objects.all().delete()
    assert pending() == 1


@pytest.mark.django_db
def test_a_deletion_that_waited_while_another_thread_read_the_index(heard):
    """Django had chosen the receivers of its signal before, so only one of them is called."""
    Author.objects.bulk_create([Author(name="editor")])
    Note.objects.bulk_create([Note(text="bread", author=Author.objects.get())])
    announced = {"sender": Note, "instance": Note.objects.get(), "origin": Note.objects.all()}
    heard._read_asking()
    heard.before_change(signal=signals.pre_delete, using="default", **announced)
    heard.on_deletion(using="default", **announced)
    assert pending() == 1


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_read_yet_is_read_later_and_stops_no_save(heard, caplog):
    with transaction.atomic():
        Note.objects.create(text="before")
        Note.objects.create(text="before, too")
        assert Note.objects.count() == 2
    assert caplog.text.count("asking does not notice changes") == 1
    editor = Author(name="editor")
    editor.save()
    Note.objects.create(text="bread", author=editor)
    assert pending() == 1


@pytest.mark.django_db
def test_a_failing_query_leaves_the_transaction_usable(heard, asking):
    def get_querysets():
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nothing_of_this_name")

    vars(asking).update(get_querysets=get_querysets)
    Note.objects.create(text="bread")
    assert Note.objects.count() == 1


@pytest.mark.django_db
def test_with_a_database_the_check_reads_it_and_never_stops_a_migration(asking):
    [message] = checks.check_database(databases=["default"])
    assert message.id.endswith("W012")
    assert not message.is_serious()
    assert "asking asks the database" in message.msg
    Author.objects.create(name="editor")
    assert checks.check_database(databases=["default"]) == []
