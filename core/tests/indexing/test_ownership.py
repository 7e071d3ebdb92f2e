"""A collection that was created for another site is searched, and otherwise left alone."""

from __future__ import annotations

import datetime as dt
import io
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from tests.testapp.models import Note
from wagtail_vector_index import checks
from wagtail_vector_index.indexing import ownership
from wagtail_vector_index.indexing.ownership import current_owner
from wagtail_vector_index.indexing.updating import apply_changes
from wagtail_vector_index.management.commands import vector_backends as vector_backends_command
from wagtail_vector_index.models import Collection

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index


@pytest.fixture(autouse=True)
def _one_index(monkeypatch):
    """A check would say that the other indexes of the tests are not built."""
    monkeypatch.setattr(vector_backends_command, "all_indexes", lambda: [Note.vector_index])


@pytest.fixture
def copied(server, bring_up_to_date):
    """The collection that this site's database names since it was copied."""
    for number in range(5):
        Note.objects.create(text=f"note{number}")
    bring_up_to_date("note")
    collection = Collection.objects.get()
    assert collection.owner == current_owner()
    Collection.objects.update(owner="postgresql://production:5432/site")
    return Collection.objects.get()


def held(server, collection):
    return sorted(id for batch in server.scan(collection.spec) for id in batch.uuids)


def check(*arguments):
    stream = io.StringIO()
    code = 0
    try:
        call_command("vector_backends", *arguments, "--check", stdout=stream)
    except SystemExit as error:
        code = error.code
    return code, stream.getvalue()


def test_a_copy_writes_nothing_and_drops_nothing(server, copied, bring_up_to_date, found):
    before = held(server, copied)
    Note.objects.filter(text="note3").delete()
    Note.objects.create(text="new")
    bring_up_to_date("note")
    Collection.objects.filter(state="retired").update(
        retired_at=timezone.now() - dt.timedelta(hours=1)
    )
    bring_up_to_date("note")
    own = Collection.objects.get(state="active")
    assert own.owner == current_owner()
    assert sorted(server.collections()) == sorted([copied.name, own.name])
    assert held(server, copied) == before
    assert found(NOTES, "new", limit=1) == ["new"]


def test_changes_of_a_copy_are_not_sent(server, copied, found):
    from wagtail_vector_index.indexing.outbox import append

    before = held(server, copied)
    note = Note.objects.get(text="note3")
    Note.objects.filter(pk=note.pk).update(text="changed")
    append("testapp.Note", [f"testapp.note:{note.pk}"])
    apply_changes(NOTES)
    assert held(server, copied) == before
    assert found(NOTES, "note2", limit=1) == ["note2"]  # searches go on


def test_a_build_that_was_copied_is_not_continued(server, copied, bring_up_to_date):
    """It is not this site's, however recently its builder was seen."""
    building = Collection.objects.get()
    building.pk, building.name, building.state = None, f"copied_{uuid.uuid4().hex[:8]}", "building"
    building.builder, building.builder_seen = "production:7", timezone.now()
    building.save()
    (updated,) = bring_up_to_date("note")
    assert updated.built
    assert Collection.objects.get(pk=building.pk).state == "retired"


def test_a_moved_site_goes_on_with_everything(server, copied, found):
    lost = held(server, copied)[0]
    server.delete(copied.spec, [lost])  # by the former site, before it ended
    call_command("update_vector_indexes", "note", take_over=True, stdout=io.StringIO())
    assert lost in held(server, copied)
    assert server.collections() == [copied.name]
    assert Collection.objects.get().owner == current_owner()


def test_checks_say_what_they_see(server, copied, settings):
    code, output = check()
    assert code == 1
    assert f"{copied.name} in 'default' was created for postgresql://production" in output
    assert "--take-over" in output
    settings.WAGTAIL_VECTOR_INDEX_OWNER = "staging"
    [message] = checks.check_database(databases=["default"])
    assert message.id.endswith("W013")
    Collection.objects.update(owner=current_owner())
    assert check()[0] == 0
    assert checks.check_database(databases=["default"]) == []


def test_a_backend_in_the_process_is_copied_with_it(bring_up_to_date, found):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    Collection.objects.update(owner="elsewhere")
    (updated,) = bring_up_to_date("note")
    assert not updated.built
    assert check()[0] == 0


@pytest.fixture
def at_the_same_address(monkeypatch):
    """A database that has the same address in a copy of the site, as in containers."""
    monkeypatch.setitem(connection.settings_dict, "NAME", "/app/db.sqlite3")
    monkeypatch.setattr(ownership, "_MAY_ASK_NUMBER", "SELECT false")


def test_a_check_says_that_a_copy_would_count_as_this_site(server, at_the_same_address, settings):
    [message] = checks.check_database(databases=["default"])
    assert message.id.endswith("W014")
    assert current_owner() in message.msg
    assert "vector database ('default')" in message.msg
    assert "WAGTAIL_VECTOR_INDEX_OWNER" in message.hint
    settings.WAGTAIL_VECTOR_INDEX_OWNER = "production"
    assert checks.check_database(databases=["default"]) == []


def test_a_copy_that_shares_nothing_needs_no_name(at_the_same_address):
    assert checks.check_database(databases=["default"]) == []


@pytest.mark.usefixtures("server")
def test_a_database_without_copies_needs_no_name(monkeypatch):
    """It is in memory or, with PostgreSQL, has a number."""
    if connection.vendor == "sqlite":
        monkeypatch.setitem(connection.settings_dict, "NAME", ":memory:")
    assert checks.check_database(databases=["default"]) == []


def test_a_deployment_can_be_named(settings):
    address = current_owner()
    settings.WAGTAIL_VECTOR_INDEX_OWNER = "staging"
    assert current_owner() == "staging"
    assert address != "staging"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="others have no services")
def test_a_service_of_postgresql_stands_for_its_database(monkeypatch):
    """Then the settings name no database, so copies in one cluster would look alike."""
    named = current_owner()
    monkeypatch.setitem(connection.settings_dict, "NAME", "")
    assert current_owner() == named


def test_an_index_that_raises_stops_no_other(server, monkeypatch):
    """Whatever its own code raises, it is reported and counts for the exit code."""
    Note.objects.create(text="bread")
    monkeypatch.setattr(type(NOTES), "get_querysets", lambda self: 1 / 0)
    stream = io.StringIO()
    with pytest.raises(CommandError, match="testapp.Note: ZeroDivisionError") as raised:
        call_command("update_vector_indexes", "note", "country", stdout=stream)
    assert "Traceback" not in str(raised.value)
    assert "testapp.Country: 0 objects written" in stream.getvalue()
