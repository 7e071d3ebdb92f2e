"""``manage.py vector_backends``: what is installed, configured and healthy."""

import datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.utils import timezone

from tests.fake_distributions import BACKEND, offering
from tests.fake_distributions import make_site as make_fake_site
from tests.testapp.models import Note
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.management.commands import vector_backends as command
from wagtail_vector_index.models.tables import Collection, PendingChange

SERVER = "tests.testapp.backends.ServerBackend"
VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(tmp_path, monkeypatch):
    for site in make_fake_site(tmp_path, monkeypatch):
        site.hide()
        yield site


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

    def test_changes_that_only_wait_are_no_failure(self, acme):
        acme()
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

    def test_before_migrate(self, acme, monkeypatch):
        acme()

        def fail(*arguments, **keywords):
            raise DatabaseError("no such table")

        monkeypatch.setattr(Collection.objects, "filter", fail)
        printed, code = run()
        assert code == 1
        assert "DatabaseError: no such table. Run: manage.py migrate" in printed
