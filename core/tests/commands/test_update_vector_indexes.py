"""The command that brings indexes up to date."""

from __future__ import annotations

import datetime as dt
import io
import sys
from types import SimpleNamespace

import pytest
from django.core import checks
from django.core.management import CommandError, call_command, load_command_class
from django.db import DatabaseError, OperationalError, connection, connections
from django.utils import timezone

from tests.testapp.models import Note, Product
from tests.testapp.vector_indexes import ProductIndex
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.management.commands import update_vector_indexes as command
from wagtail_vector_index.models import Collection, Document
from wagtail_vector_index.wording import describe

pytestmark = pytest.mark.django_db(databases=["default", "other"])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def update(*names, stream=None, **options):
    stream = stream or io.StringIO()
    call_command("update_vector_indexes", *names, stdout=stream, **options)
    return stream.getvalue()


def test_updates_every_index(root):
    Note.objects.create(text="bread")
    Product.objects.create(label="kettle")
    output = update()
    assert "testapp.Note: 1 objects written (1 chunks added, 0 deleted). Rebuilt." in output
    assert "testapp.ProductIndex: 1 objects written" in output
    assert set(Collection.objects.values_list("state", flat=True)) == {"active"}


def test_updates_the_named_index_only():
    Note.objects.create(text="bread")
    update("NOTE")
    assert list(Collection.objects.values_list("index", flat=True)) == ["testapp.Note"]


def test_titles_that_a_terminal_cannot_show_end_no_command(monkeypatch):
    Note.objects.create(text="bread ขนมปัง")
    update("note")
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="ascii"))
    call_command("search_vector_index", "note", "bread", no_color=True)
    sys.stdout.flush()
    assert b"bread \\u0e02" in printed.getvalue()


def test_titles_that_cannot_be_made_are_printed_as_keys(monkeypatch):
    note = Note.objects.create(text="bread")
    update("note")

    def title(note):
        raise AttributeError("'NoneType' object has no attribute 'name'")

    monkeypatch.setattr(Note, "__str__", title)
    printed = io.StringIO()
    call_command("search_vector_index", "note", "bread", stdout=printed, no_color=True)
    assert f"  testapp.note:{note.pk}\n" in printed.getvalue()


def test_an_index_that_is_named_twice_is_updated_once():
    Note.objects.create(text="bread")
    assert update("note", "testapp.Note").count("testapp.Note: ") == 1


def test_a_dry_run_takes_nothing_over():
    with pytest.raises(CommandError, match="--take-over writes, so it cannot be combined"):
        update("note", dry_run=True, take_over=True)


def test_an_index_of_a_package_is_discovered_once(monkeypatch):
    """As if ``vector_indexes`` were a package that imports it."""
    attributes = {"__module__": "tests.testapp.vector_indexes.kettles", "name": "kettles"}
    index = type("KettleIndex", (ProductIndex,), attributes)
    monkeypatch.setattr("tests.testapp.vector_indexes.KettleIndex", index, raising=False)
    monkeypatch.setattr("tests.testapp.vector_indexes.SameIndex", index, raising=False)
    Product.objects.create(label="kettle")
    assert "kettles: 1 objects written" in update("kettles")


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(CommandError, match=r"'nope' is not a vector index. Available: .*testapp"):
        update("nope")


def test_says_how_far_it_is_in_plain_lines_where_there_is_no_terminal():
    for number in range(20):
        Note.objects.create(text=f"note{number}")
    lines = update("note").splitlines()
    assert "testapp.Note, writing: 20 of 20 objects" in lines
    assert "\r" not in "".join(lines)


def test_what_was_saved_several_times_counts_once(settings):
    note = Note.objects.create(text="bread")
    update("note")
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    for _ in range(3):
        note.save()
    assert "testapp.Note, writing: 1 of 1 objects" in update("note").splitlines()


def test_shows_a_progress_bar_on_a_terminal():
    for number in range(20):
        Note.objects.create(text=f"note{number}")
    output = update("note", stream=Terminal())
    assert "testapp.Note, writing:" in output.split("\r")[1]
    assert "20 texts embedded" in output


def test_the_progress_bar_stays_on_its_line():
    """Django ends whatever a command writes with a line break, and so each move of the bar."""
    for number in range(20):
        Note.objects.create(text=f"note{number}")
    output = update("note", stream=Terminal())
    assert output.count("\r") > 2
    assert output.count("\n") == 1
    assert output.splitlines()[-1].startswith("testapp.Note: 20 objects written")


def test_says_nothing_if_asked_to(capfd):
    Note.objects.create(text="bread")
    assert update("note", verbosity=0, dry_run=True) == ""
    assert update("note", verbosity=0) == ""
    assert Document.objects.count() == 1
    assert update("note", verbosity=0) == ""
    stream = io.StringIO()
    call_command("search_vector_index", "note", "bread", verbosity=0, stdout=stream)
    assert stream.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_a_dry_run_only_counts():
    Note.objects.create(text="bread")
    assert update("note", dry_run=True) == "testapp.Note: 1 objects to write.\n"
    assert not Document.objects.exists()
    update("note")
    assert update("note", dry_run=True) == "testapp.Note: 0 objects to write.\n"
    assert update("note", dry_run=True, rebuild=True) == "testapp.Note: 1 objects to write.\n"


def test_rebuild():
    Note.objects.create(text="bread")
    update("note")
    assert "Rebuilt." not in update("note")
    assert "Rebuilt." in update("note", rebuild=True)


def test_fails_in_the_end_if_an_object_could_not_be_indexed(monkeypatch):
    Product.objects.create(label="kettle")
    Note.objects.create(text="bread")

    def fail(product):
        raise RuntimeError("no description")

    monkeypatch.setattr(Product, "get_description", fail)
    with pytest.raises(CommandError, match="no description"):
        update("ProductIndex", "note")
    assert Document.objects.get().content == "bread"


def test_an_error_of_many_objects_is_said_once(monkeypatch):
    for _ in range(8):
        Product.objects.create(label="kettle")

    def fail(product):
        raise RuntimeError("no description")

    monkeypatch.setattr(Product, "get_description", fail)
    with pytest.raises(CommandError) as error:
        update("ProductIndex")
    message = str(error.value)
    assert message.count("testapp.product:") == 5
    assert message.endswith(" and 3 more: RuntimeError: no description")


@pytest.mark.parametrize(
    "command", [("update_vector_indexes",), ("search_vector_index", "note", "bread")]
)
def test_before_migrate_it_says_to_run_it(command, monkeypatch):
    monkeypatch.setattr(Collection._meta, "db_table", "not_made_yet")
    with pytest.raises(CommandError, match=r"no tables .* Run: manage.py migrate$"):
        call_command(*command)


@pytest.fixture
def note_has_no_table():
    """The site's developer has added a model, but created no table."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE testapp_note RENAME TO testapp_note_later")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE testapp_note_later RENAME TO testapp_note")


CREATE_NOTES = (
    "testapp.Note has no table testapp_note. Run: manage.py makemigrations testapp, then:"
    " manage.py migrate"
)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("options", [{}, {"rebuild": True}, {"dry_run": True}])
def test_a_model_without_a_table_is_reported_with_the_commands(options, note_has_no_table, caplog):
    with pytest.raises(CommandError) as error:
        update("note", **options)
    assert str(error.value) == CREATE_NOTES
    assert "Traceback" not in caplog.text


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_check_of_backends_reports_a_model_without_a_table(note_has_no_table):
    printed = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("vector_backends", check=True, stdout=printed, no_color=True)
    message, _, remedy = CREATE_NOTES.partition(" Run:")
    assert f"    {message}\n    Run:{remedy}\n" in printed.getvalue()
    assert "update_vector_indexes testapp.Note" not in printed.getvalue()


def test_tables_in_a_schema_that_tenants_share(monkeypatch):
    """In the schema of a tenant, django-tenants lists only the tables of that schema."""
    if connection.vendor != "postgresql":
        pytest.skip("this is about schemas")
    monkeypatch.setattr(connection.introspection, "table_names", lambda *arguments: [])
    call_command("update_vector_indexes", "note", verbosity=0)


def test_an_index_that_is_wrong_stops_no_other(monkeypatch):
    Note.objects.create(text="bread")
    monkeypatch.setattr("tests.testapp.vector_indexes.ProductIndex.vector_backend", "nowhere")
    Product.objects.create(label="kettle")
    with pytest.raises(CommandError, match="has no alias 'nowhere'"):
        update("ProductIndex", "note")
    assert Document.objects.filter(collection__index="testapp.Note").exists()


def test_searching_from_the_command_line(root):
    Note.objects.create(text="how to bake bread " + "and more " * 60)
    Note.objects.create(text="bicycles")
    update("note")
    stream = io.StringIO()
    call_command("search_vector_index", "note", "bake bread", limit=1, stdout=stream)
    first, excerpt = stream.getvalue().splitlines()
    assert "how to bake bread" in first
    assert float(first.split()[0]) > 0
    assert excerpt.strip().endswith("…")


def test_searching_without_a_result():
    update("note")
    stream = io.StringIO()
    call_command("search_vector_index", "note", "bread", stdout=stream)
    assert stream.getvalue() == "Nothing found.\n"


def test_searching_an_index_that_is_not_built():
    with pytest.raises(CommandError, match="not built yet. Run: manage.py update_vector_indexes"):
        call_command("search_vector_index", "note", "bread")


def test_what_an_index_kept_that_is_no_more_is_deleted_once_it_is_retired():
    Note.objects.create(text="bread")
    update("note")
    Collection.objects.update(
        index="testapp.OldIndex",
        state=Collection.State.RETIRED,
        retired_at=timezone.now() - dt.timedelta(minutes=6),
    )
    update("note")
    [collection] = Collection.objects.all()
    assert collection.index == "testapp.Note"
    assert {document.collection for document in Document.objects.all()} == {collection}


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("deadlock detected"),
        DatabaseError("the disk is full"),
        RuntimeError("a bug of the backend"),
        KeyError("bug"),
    ],
    ids=repr,
)
def test_an_error_of_one_index_stops_no_other(settings, monkeypatch, error):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "numpy"},
        "broken": {"BACKEND": "tests.testapp.backends.ServerBackend"},
    }

    def fail(method):
        raise error

    vector_backends["broken"].before = fail
    monkeypatch.setattr("tests.testapp.vector_indexes.ProductIndex.vector_backend", "broken")
    Product.objects.create(label="kettle")
    Note.objects.create(text="bread")
    with pytest.raises(CommandError) as raised:
        update("ProductIndex", "note")
    assert str(raised.value) == f"testapp.ProductIndex: {describe(error)}"
    assert raised.value.returncode == 1
    active = Collection.objects.filter(state="active")
    assert list(active.values_list("index", flat=True)) == ["testapp.Note"]
    vector_backends["broken"].before = lambda method: None
    assert "Rebuilt." in update("ProductIndex", "note")


def test_ctrl_c_ends_the_command(monkeypatch):
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        update("ProductIndex", "note")


@pytest.mark.parametrize(("verbosity", "warned"), [("0", False), ("1", True)])
def test_only_errors_speak_at_verbosity_0(verbosity, warned, monkeypatch, capsys):
    monkeypatch.setattr(connections, "close_all", lambda: None)
    warning = checks.Warning("A warning of an app.", id="app.W001")
    monkeypatch.setattr(checks, "run_checks", lambda **options: [warning])
    registry = SimpleNamespace(failures=["plugin acme failed"])
    monkeypatch.setattr(command, "active_registry", lambda: registry)
    command.Command().run_from_argv(
        ["manage.py", "update_vector_indexes", "--verbosity", verbosity]
    )
    told = capsys.readouterr().err
    assert ("A warning of an app." in told, "plugin acme" in told) == (warned, warned)
    assert (told == "") is not warned


@pytest.mark.parametrize("options", [[], ["--verbosity", "0"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["update_vector_indexes"],
        ["purge_vector_indexes"],
        ["vector_backends"],
        ["search_vector_index", "note", "bread"],
        ["evaluate_vector_index", "note", "questions.csv"],
        ["startvectorbackend", "acme"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ctrl_c_shows_no_traceback(arguments, options, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(connections, "close_all", lambda: None)
    command = load_command_class("wagtail_vector_index", arguments[0])
    monkeypatch.setattr(type(command), "handle", interrupt)
    with pytest.raises(SystemExit) as ended:
        command.run_from_argv(["manage.py", *arguments, *options])
    assert ended.value.code == 130
    told = capsys.readouterr().err  # after warnings of system checks, with old releases
    assert sum(line.startswith("Interrupted.") for line in told.splitlines()) == 1
    assert "Traceback" not in told
