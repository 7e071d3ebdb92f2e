"""``manage.py vector_backends``: what is installed, configured and healthy."""

import datetime
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError
from django.db.models import F
from django.utils import timezone

from tests.fake_distributions import BACKEND, offering
from tests.fake_distributions import make_site as make_fake_site
from tests.testapp.models import Note
from wagtail_vector_index.backends.base import RecordBatch
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.management.commands import vector_backends as command
from wagtail_vector_index.models.tables import Collection, Document, PendingChange

SERVER = "tests.testapp.backends.ServerBackend"
VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(tmp_path, monkeypatch):
    for site in make_fake_site(tmp_path, monkeypatch):
        site.hide()
        yield site


RECALL = {
    "setting": {"ef": 200},
    "mean": 0.991,
    "worst": 0.7,
    "questions": 200,
    "records": 300_000,
    "measured_at": "2026-11-28T12:00:00+00:00",
}


@pytest.fixture
def acme(site, settings):
    """A vector backend of a plugin, configured, with more source at the end of its class."""

    def install(more="", **options):
        spec = 'path="acme_backend.AcmeBackend", summary="Stores nothing"'
        health = "from wagtail_vector_index.backends.base import Health"
        site.install(
            "acme-vectors",
            {"acme": "acme_plugin"},
            version="2.1",
            acme_plugin=offering("vector", acme=spec),
            acme_backend=f"{health}\n{BACKEND}\n    {more}",
        )
        setattr(settings, VECTOR, {"default": {"BACKEND": "acme", **options}})

    return install


def run(*arguments):
    """What is printed, and the exit code."""
    out = StringIO()
    try:
        call_command("vector_backends", *arguments, stdout=out, no_color=True)
    except SystemExit as error:
        return out.getvalue(), error.code
    return out.getvalue(), 0


class TestInstalled:
    def test_plugins_with_distribution_version_and_backends(self, acme):
        acme()
        printed, code = run()
        assert code == 0
        assert "Installed plugins\n  acme  (acme-vectors 2.1)\n" in printed
        assert "    vector backend 'acme': Stores nothing\n" in printed

    def test_failures_and_those_switched_off(self, acme, site, settings):
        acme()
        site.install("bad", {"bad": "bad_plugin"}, bad_plugin="raise RuntimeError('the reason')")
        site.install("off", {"off": "off_plugin"}, off_plugin="raise SystemExit")
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = ["off"]
        printed, code = run()
        assert code == 0
        assert "  The plugin 'bad' of bad 1.0 is not usable: RuntimeError: the reason\n" in printed
        assert "    Upgrade or uninstall bad, or add 'bad' to WAGTAIL_VECTOR_INDEX_" in printed
        assert "  off  (switched off)\n" in printed

    def test_none_at_all(self, site):
        printed, code = run()
        assert code == 1
        assert 'none. To begin, run: pip install "wagtail-vector-index[numpy,wordllama]"' in printed

    def test_a_backend_without_a_summary(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=offering("chat", a='path="x.A"'))
        assert "    chat backend 'a'\n" in run()[0]


class TestConfigured:
    def test_aliases_with_their_options_but_not_the_secrets(self, acme):
        acme(API_KEY="abc123", HOST="https://me:s3cret@db.example")
        printed, code = run()
        assert code == 0
        assert f"{VECTOR}\n  default: AcmeBackend(" in printed
        assert "host='https://me:********@db.example', api_key=********" in printed
        assert "abc123" not in printed
        assert "s3cret" not in printed
        assert "WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS\n  none\n" in printed

    def test_one_that_is_wrong_is_told_and_the_others_are_shown(self, acme, settings):
        acme()
        settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "a": {"BACKEND": "nonsense"},
            "b": {"BACKEND": "acme"},
        }
        printed, code = run()
        assert code == 1
        assert f"  a: {VECTOR}['a']['BACKEND']: no installed plugin offers" in printed
        assert "  b: AcmeBackend(" in printed

    def test_a_setting_that_is_wrong(self, acme, settings):
        acme()
        settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = "acme"
        printed, code = run()
        assert code == 1
        assert f"{VECTOR} must be a dict such as" in printed
        assert "Vector indexes\n" in printed

    def test_disabled_plugins_that_are_no_list(self, acme, settings):
        acme()
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = "acme"
        printed, code = run()
        assert code == 1
        assert "must be a list of plugin names, not 'acme'" in printed

    def test_the_system_checks_do_not_come_first(self):
        assert not command.Command.requires_system_checks


class TestHealth:
    @pytest.fixture(autouse=True)
    def _without_indexes(self, monkeypatch):
        """Indexes that are not built would fail as well."""
        monkeypatch.setattr(command, "all_indexes", list)

    def test_is_asked_for_only_with_check(self, acme):
        acme("def health(self):\n        raise AssertionError('asked')\n")
        assert run()[1] == 0
        assert run("--check")[1] == 1

    def test_works(self, acme):
        acme()
        printed, code = run("--check")
        assert code == 0
        assert ": works: 0 collections\n" in printed

    def test_details(self, acme):
        result = "Health(ok=True, message='fine', details={'server': '1.19', 'size': '3 GB'})"
        acme(f"def health(self):\n        return {result}\n")
        assert ": works: fine, server 1.19, size 3 GB\n" in run("--check")[0]

    def test_does_not_work(self, acme):
        acme("def health(self):\n        return Health(ok=False, message='disk full')\n")
        printed, code = run("--check")
        assert code == 1
        assert ": does not work: disk full\n" in printed

    @pytest.mark.parametrize("result", ["None", "True", "Health(ok=True, message='', details=5)"])
    def test_an_answer_of_another_type_stops_nothing(self, acme, result):
        acme(f"def health(self):\n        return {result}\n")
        printed, code = run("--check")
        assert code == 1
        assert ": does not work: AttributeError: " in printed
        assert "Vector indexes\n" in printed

    @pytest.mark.parametrize(
        "raised",
        [
            "__import__('wagtail_vector_index').exceptions.BackendUnavailable",
            "OSError",
        ],
    )
    def test_an_error_is_told_without_its_secrets(self, acme, raised):
        acme(
            f"def health(self):\n        raise {raised}(f'refused {{self.options.api_key}}')\n",
            API_KEY="abc123",
        )
        printed, code = run("--check")
        assert code == 1
        assert f": does not work: {raised.rpartition('.')[2]}: refused ********\n" in printed
        assert "abc123" not in printed

    def test_a_message_and_details_without_their_secrets(self, acme):
        result = (
            "Health(ok=True, message=self.options.api_key, details={'key': self.options.api_key})"
        )
        acme(f"def health(self):\n        return {result}\n", API_KEY="abc123")
        printed, _ = run("--check")
        assert ": works: ********, key ********\n" in printed
        assert "abc123" not in printed


class TestIndexes:
    @pytest.fixture(autouse=True)
    def _one_index(self, monkeypatch):
        monkeypatch.setattr(command, "all_indexes", lambda: [Note.vector_index])

    def test_none(self, acme, monkeypatch):
        acme()
        monkeypatch.setattr(command, "all_indexes", list)
        assert run()[0].endswith("Vector indexes\n  none\n")

    def test_not_built(self, acme):
        acme()
        assert "  testapp.Note: not built, 0 changes pending\n" in run()[0]

    def test_built(self, bring_up_to_date):
        Note.objects.create(text="bread")
        bring_up_to_date("testapp.Note")
        assert "  testapp.Note: 1 chunks, 0 changes pending\n" in run()[0]

    def test_changes_that_failed(self, acme):
        acme()
        since = timezone.now() - datetime.timedelta(hours=3)
        for number in range(9):
            PendingChange.objects.create(
                index="testapp.Note",
                object_key=f"testapp.note:{number}",
                attempts=number,
                last_error="" if number == 0 else f"RuntimeError: reason {number}",
                created_at=since,
            )
        printed, code = run()
        assert code == 0
        assert (
            "  testapp.Note: not built, 9 changes pending, the oldest since"
            f" {timezone.localtime(since):%Y-%m-%d %H:%M:%S}, 8 of them failed\n"
            "    testapp.note:8: 8 attempts: RuntimeError: reason 8\n"
        ) in printed
        assert "    and 3 more\n" in printed
        assert "To try again now, run: manage.py update_vector_indexes testapp.Note\n" in printed
        assert run("--check")[1] == 1

    def test_changes_that_only_wait_are_no_failure(self, bring_up_to_date):
        bring_up_to_date("note")
        PendingChange.objects.create(index="testapp.Note", object_key="testapp.note:1")
        printed, code = run("--check")
        assert "1 changes pending" in printed
        assert code == 0

    def test_a_vector_backend_that_was_not_told(self, bring_up_to_date, settings):
        setattr(settings, VECTOR, {"default": {"BACKEND": SERVER, "API_KEY": "abc123"}})
        server = vector_backends["default"]
        Note.objects.create(text="bread")
        bring_up_to_date("note")

        def down(method):
            raise BackendUnavailable("no answer to abc123")

        server.before = down
        Note.objects.create(text="cake")
        for _ in range(2):
            with pytest.raises(BackendUnavailable):
                bring_up_to_date("note")
        name = Collection.objects.get().name
        printed, code = run("--check")
        assert code == 1
        assert f"    {name} on 'default', which is behind: 2 attempts, the next at " in printed
        assert ": BackendUnavailable: no answer to ********\n" in printed
        server.before = lambda method: None
        bring_up_to_date("note")
        printed, code = run("--check")
        assert code == 0
        assert "attempt" not in printed

    @pytest.mark.parametrize("kind", [DatabaseError, InterfaceError])
    def test_before_migrate(self, acme, monkeypatch, kind):
        acme()

        def fail(*arguments, **keywords):
            raise kind("no such table")

        monkeypatch.setattr(Collection.objects, "filter", fail)
        printed, code = run()
        assert code == 1
        assert f"{kind.__name__}: no such table. Run: manage.py migrate" in printed


class TestMonitor:
    """What ``--check`` exits with 1 for, and says what to do about."""

    UPDATE = "run: manage.py update_vector_indexes testapp.Note"

    @pytest.fixture(autouse=True)
    def notes(self, monkeypatch, server, bring_up_to_date):
        """An index of three notes in a persistent backend, up to date."""
        monkeypatch.setattr(command, "all_indexes", lambda: [Note.vector_index])
        for text in ("bread", "cheese", "wine"):
            Note.objects.create(text=text)
        bring_up_to_date("note")
        return Collection.objects.get()

    def ago(self, **time):
        return timezone.now() - datetime.timedelta(**time)

    def wait(self, **time):
        PendingChange.objects.create(
            index="testapp.Note", object_key="testapp.note:1", created_at=self.ago(**time)
        )

    def test_an_index_that_is_up_to_date(self):
        assert run("--check")[1] == 0

    def test_an_index_that_is_not_built(self):
        Collection.objects.all().delete()
        printed, code = run("--check")
        assert code == 1
        assert "testapp.Note is not built yet and cannot be searched." in printed
        assert self.UPDATE in printed
        assert run()[1] == 0

    def test_an_index_that_is_being_built(self):
        Collection.objects.update(state="building", builder="web1:7", builder_seen=self.ago())
        printed, code = run("--check")
        assert code == 1
        assert "Another process builds it (web1:7). Wait until it has ended." in printed

    def test_an_index_of_another_model(self):
        Collection.objects.update(fingerprint="an older model")
        printed, code = run("--check")
        assert code == 1
        assert "was built with other settings and cannot be searched: embedding model" in printed
        assert self.UPDATE in printed

    def test_changes_that_nothing_has_written(self):
        self.wait(minutes=29)
        assert run("--check")[1] == 0
        self.wait(minutes=31)
        self.wait(days=2)
        printed, code = run("--check")
        assert code == 1
        assert "2 changes of testapp.Note have waited for more than 30 minutes" in printed
        assert "Check that the worker of the task queue runs." in printed
        assert self.UPDATE in printed
        assert run()[1] == 0

    def test_changes_that_wait_for_a_process_that_builds(self, notes):
        new = {"name": "new", "index": notes.index, "vector_backend": "default", "dimensions": 64}
        Collection.objects.create(**new, builder="web1:7", builder_seen=self.ago())
        self.wait(hours=3)
        assert run("--check")[1] == 0

    def test_changes_that_wait_while_others_are_written(self, notes):
        self.wait(hours=3)
        self.wait(hours=3)
        first = PendingChange.objects.order_by("pk")[:1].values("pk")
        held = PendingChange.objects.filter(pk__in=[row["pk"] for row in first])
        held.update(holder="web1:7#1", holder_seen=self.ago())
        assert run("--check")[1] == 0
        held.update(holder_seen=self.ago(minutes=6))
        assert "2 changes of testapp.Note have waited for more than 30" in run("--check")[0]

    def test_changes_that_were_never_sent(self, notes):
        """A process was killed between the index tables and the vector backend."""
        Collection.objects.update(revision=notes.revision + 1, changed_at=self.ago(minutes=5))
        assert run("--check")[1] == 0
        Collection.objects.update(changed_at=self.ago(hours=1))
        printed, code = run("--check")
        assert code == 1
        assert "The vector backend 'default' has lacked changes of testapp.Note for" in printed
        assert self.UPDATE in printed

    def test_a_rebuild_that_stopped(self, notes):
        new = {"name": "new", "index": notes.index, "vector_backend": "default", "dimensions": 64}
        building = Collection.objects.create(**new, builder="web1:7", builder_seen=self.ago())
        assert run("--check")[1] == 0
        Collection.objects.filter(pk=building.pk).update(builder_seen=self.ago(minutes=40))
        printed, code = run("--check")
        assert code == 1
        assert "A rebuild of testapp.Note stopped more than 30 minutes ago." in printed
        assert self.UPDATE in printed

    def test_records_that_the_backend_lost(self, notes, server):
        server.delete(notes.spec, [Document.objects.first().pk])
        printed, code = run("--check")
        assert code == 1
        where = "in the vector backend 'default', and 3 in the index tables"
        assert f"{notes.name} has 2 records {where}." in printed
        assert self.UPDATE in printed
        assert run()[1] == 0

    def test_records_that_the_backend_kept(self, notes, server):
        ghost = {"ids": [uuid4()], "vectors": [[1.0] * 64], "metadata": [{"object": "x"}]}
        server.upsert(notes.spec, RecordBatch.of(**ghost))
        printed, code = run("--check")
        assert code == 1
        assert f"{notes.name} has 4 records in the vector backend 'default'" in printed

    def test_a_collection_that_the_backend_lost(self, notes, server, bring_up_to_date):
        server.drop(notes.spec)
        printed, code = run("--check")
        assert code == 1
        assert f"{notes.name} is missing in the vector backend 'default'." in printed
        bring_up_to_date("note")
        assert run("--check")[1] == 0

    def test_changes_in_flight_are_no_difference(self, notes, server, monkeypatch):
        """A change is written, and another one sent, while the records are counted."""

        def count(spec, filter=None):
            if not len(counted):
                Collection.objects.update(
                    revision=F("revision") + 1,
                    applied_revision=F("revision") + 1,
                    document_count=4,
                )
            counted.append(spec.name)
            return 3 if len(counted) == 1 else 4

        counted = []
        monkeypatch.setattr(server, "count", count)
        assert run("--check")[1] == 0
        assert len(counted) > 1

    def test_changes_that_are_about_to_be_sent_are_no_difference(self, notes):
        Collection.objects.update(
            revision=notes.revision + 1, document_count=9, changed_at=self.ago(seconds=2)
        )
        assert run("--check")[1] == 0

    def test_a_backend_that_cannot_count(self, notes, server, monkeypatch):
        def count(spec, filter=None):
            raise RuntimeError("a bug of the backend")

        monkeypatch.setattr(server, "count", count)
        printed, code = run("--check")
        assert code == 1
        assert f"{notes.name} cannot be counted: RuntimeError: a bug of the backend." in printed

    def test_a_backend_that_does_not_work_is_not_asked_again(self, server, monkeypatch):
        def down(*arguments):
            asked.append(arguments)
            raise BackendUnavailable("no answer")

        asked = []
        monkeypatch.setattr(server, "health", down)
        monkeypatch.setattr(server, "count", down)
        assert run("--check")[1] == 1
        assert len(asked) == 1

    def test_what_is_stored_of_an_index_that_is_gone(self):
        Collection.objects.update(index="shop.OldIndex")
        printed, code = run("--check")
        assert code == 1
        assert "shop.OldIndex is no longer in the code, but 3 of its chunks and" in printed
        assert "To delete them, run: manage.py purge_vector_indexes" in printed
        assert run()[1] == 0

    def test_an_index_that_raises_stops_no_other(self, monkeypatch):
        class Broken(VectorIndex):
            name = "shop.Broken"

            @property
            def configuration(self):
                raise LookupError("a bug of the site")

        monkeypatch.setattr(command, "all_indexes", lambda: [Broken(), Note.vector_index])
        printed, code = run("--check")
        assert code == 1
        assert "shop.Broken: LookupError: a bug of the site" in printed
        assert "testapp.Note: 3 chunks" in printed

    def test_nothing_is_printed_if_asked_to(self, capfd):
        Collection.objects.all().delete()
        assert run("--check", "--verbosity", "0") == ("", 1)
        assert run("--verbosity", "0") == ("", 0)
        assert capfd.readouterr() == ("", "")


def test_check_tells_the_recall(settings, bring_up_to_date):
    setattr(settings, VECTOR, {"default": {"BACKEND": SERVER}})
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    Collection.objects.update(recall=RECALL)
    text, code = run("--check")
    told = "recall 0.991, worst 0.70, of 200 sampled searches of 300,000 records, with ef 200"
    assert f"    default: {told}, measured 2026-11-28 " in text
    assert told not in run()[0]
    low = {"mean": 0.9, "advice": "Set M to more."}
    Collection.objects.update(recall=RECALL | low)
    text, low_code = run("--check")
    assert "ef 200; the target is 0.98, measured" in text
    assert "    Set M to more." in text
    assert low_code == code
    unknown = {"mean": 0.0, "questions": 0, "advice": "Exact searches are forbidden."}
    Collection.objects.update(recall=RECALL | unknown)
    text, unknown_code = run("--check")
    told = "recall not measured in 300,000 records, searched with ef 200, tried 2026-11-28 "
    assert f"    default: {told}" in text
    assert "    Exact searches are forbidden." in text
    assert unknown_code == code
