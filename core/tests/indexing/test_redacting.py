"""Nothing is embedded without a plugin that redacted the index's texts before."""

import pytest
from django.core.management import CommandError, call_command

from tests.fake_distributions import PLUGIN, make_site
from tests.testapp.models import Note
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import PluginBroken
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.updating import apply_changes
from wagtail_vector_index.models import Document, PendingChange

pytestmark = pytest.mark.django_db(databases=["default", "other"])

REDACT = """
from dataclasses import replace

@hookimpl
def documents_prepared(documents):
    return [replace(each, text=each.text.replace("0612", "…")) for each in documents]
"""


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Installs a release of the plugin ``redaction``, which hides the one before."""
    sites = make_site(tmp_path, monkeypatch)
    site = next(sites)

    def install(version, source):
        modules = {f"redaction_{version}": source}
        entry_points = {"redaction": f"redaction_{version}"}
        site.install("redaction", entry_points, version=f"{version}.0", **modules)

    yield install
    next(sites, None)


@pytest.fixture
def broken(release, bring_up_to_date):
    """An index that was redacted by a plugin whose next release cannot be loaded."""
    release(1, PLUGIN + REDACT)
    Note.objects.create(text="call 0612")
    bring_up_to_date("note")
    assert embedded() == ["call …"]
    release(2, "import no_longer_there")


def embedded():
    """Return the texts that were embedded since the last release."""
    return embedding_backends["default"].texts


def live():
    return [each.content for each in Document.objects.filter(deleted_at=None)]


@pytest.mark.parametrize("options", [{}, {"rebuild": True}])
def test_an_update_without_it_embeds_nothing(broken, bring_up_to_date, options):
    with pytest.raises(PluginBroken, match="plugin 'redaction' of redaction 2.0 is not usable"):
        bring_up_to_date("note", **options)
    assert embedded() == []
    assert live() == ["call …"]
    assert [each.text for each in Note.vector_index.search("call")] == ["call 0612"]


def test_changes_wait_until_it_is_repaired(broken, release):
    note = Note.objects.create(text="mail 0612")
    queue(Note.vector_index.name, [object_key(note)])
    with pytest.raises(PluginBroken, match="or add 'redaction' to"):
        apply_changes(Note.vector_index)
    assert embedded() == []
    assert PendingChange.objects.exists()
    release(3, PLUGIN + REDACT)
    apply_changes(Note.vector_index)
    assert embedded() == ["mail …"]
    assert not PendingChange.objects.exists()


def test_a_site_can_do_without_it(broken, bring_up_to_date, settings):
    settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = ["redaction"]
    bring_up_to_date("note")
    assert live() == ["call 0612"]


def test_the_command_says_so(broken):
    with pytest.raises(CommandError, match="nothing is embedded without it"):
        call_command("update_vector_indexes", "note")


def test_the_command_names_a_plugin_that_never_worked(release, capsys):
    release(1, "import no_longer_there")
    call_command("update_vector_indexes", "note")
    assert "The plugin 'redaction' of redaction 1.0 is not usable: " in capsys.readouterr().err
