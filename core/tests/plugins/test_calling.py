"""The hooks that run while an index works."""

import logging

import pytest
from django.contrib.auth.models import Group
from django.test import override_settings

from tests.fake_distributions import PLUGIN
from wagtail_vector_index.exceptions import ConfigurationError, PluginBroken
from wagtail_vector_index.plugins import PreparedDocument
from wagtail_vector_index.plugins.calling import DocumentHooks, active_registry, notify


@pytest.fixture
def install(site):
    """Installs plugins, each of a body, found in the order of their names."""

    def install(**bodies):
        for name, body in bodies.items():
            site.install(name, {name: f"{name}_plugin"}, **{f"{name}_plugin": PLUGIN + body})

    return install


ADD = """
@hookimpl
def documents_prepared(documents):
    from wagtail_vector_index.plugins import PreparedDocument

    return [*documents, PreparedDocument(text={!r}, context="", metadata={{}})]
"""
ADD_FIRST = ADD.replace("@hookimpl", "@hookimpl(tryfirst=True)")
ADD_LAST = ADD.replace("@hookimpl", "@hookimpl(trylast=True)")

NOTE = """
notes = []

@hookimpl
def index_updated(index, upserted, deleted):
    notes.append((index, upserted, deleted))
"""
FAIL = """
@hookimpl(tryfirst=True)
def index_updated():
    {}
"""


def notes(name):
    (module,) = [p.module for p in active_registry().plugins if p.source.name == name]
    return module.notes


def prepared(index, *texts):
    """Return the texts of documents after the hooks."""
    documents = [PreparedDocument(text=text, context="", metadata={"a": 1}) for text in texts]
    return [document.text for document in DocumentHooks.active().apply(index, documents)]


class TestDocumentsPrepared:
    def test_without_plugins_they_stay_as_they_are(self, site):
        documents = [PreparedDocument(text="a", context="", metadata={})]
        assert DocumentHooks.active().apply("index", documents) is documents

    def test_each_plugin_gets_what_the_one_before_returned(self, install):
        install(a=ADD.format("a"), b=ADD.format("b"), c=ADD.format("c"))
        assert prepared("index", "0") == ["0", "c", "b", "a"]

    def test_tryfirst_comes_first_and_trylast_last(self, install):
        install(a=ADD_FIRST.format("a"), b=ADD.format("b"), c=ADD_LAST.format("c"))
        assert prepared("index") == ["a", "b", "c"]

    def test_none_leaves_them_as_they_are(self, install):
        install(a=ADD.format("a"), b="@hookimpl\ndef documents_prepared():\n    return None\n")
        assert prepared("index", "0") == ["0", "a"]

    def test_an_empty_list_leaves_nothing(self, install):
        install(b="@hookimpl\ndef documents_prepared():\n    return []\n")
        assert prepared("index", "0") == []

    def test_the_index_comes_along(self, install):
        install(
            a=ADD.format("{}").replace("(documents)", "(index, documents)").replace("'{}'", "index")
        )
        assert prepared("the index") == ["the index"]

    def test_an_argument_with_a_default_is_the_plugins_own(self, install):
        body = ADD.format("{}").replace("(documents)", "(documents, index='own')")
        install(a=body.replace("'{}'", "index"))
        assert prepared("the index") == ["own"]

    def test_two_implementations_of_one_plugin_are_a_chain_as_well(self, install):
        second = ADD.format("2").replace("@hookimpl", "@hookimpl(specname='documents_prepared')")
        install(a=ADD.format("1") + second.replace("def documents_prepared", "def zebra"))
        assert sorted(prepared("index")) == ["1", "2"]

    def test_changes_in_place_have_no_effect(self, install):
        body = (
            "@hookimpl\ndef documents_prepared(documents):\n"
            "    documents[0].metadata['a'] = 2\n    documents.clear()\n"
        )
        install(a=body)
        documents = [PreparedDocument(text="0", context="", metadata={"a": 1})]
        assert DocumentHooks.active().apply("index", documents) is documents
        assert documents[0].metadata == {"a": 1}

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ("raise RuntimeError('cannot redact')", "RuntimeError: cannot redact"),
            ("raise BaseException('a panic')", "BaseException: a panic"),
            ("async def later(): pass\n    return later()", "must not be asynchronous"),
            ("yield 1 / 0", "ZeroDivisionError"),
            ("return map(exit, [3])", "SystemExit: 3"),
            ("return 5", "TypeError: 'int' object is not iterable"),
            ("return ['private']", "instances of PreparedDocument, not of str.$"),
        ],
    )
    def test_an_error_is_raised_so_that_nothing_unredacted_is_embedded(self, install, body, says):
        install(a=ADD.format("a"), b=f"@hookimpl\ndef documents_prepared():\n    {body}\n")
        with pytest.raises(PluginBroken, match=says) as raised:
            prepared("index", "0")
        assert "documents_prepared of b_plugin (plugin 'b' of b 1.0) failed" in str(raised.value)

    def test_keyboard_interrupt_passes_through(self, install):
        install(a="@hookimpl\ndef documents_prepared():\n    raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            prepared("index", "0")


class TestNotify:
    def test_every_plugin_hears_it(self, install):
        install(a=NOTE, b=NOTE)
        notify("index_updated", index="i", upserted=["u"], deleted=[])
        assert notes("a") == notes("b") == [("i", ["u"], [])]

    def test_a_hook_may_take_fewer_arguments(self, install):
        install(
            a=NOTE.replace("index, upserted, deleted", "deleted").replace("index, upserted,", "")
        )
        notify("index_updated", index="i", upserted=[], deleted=["d"])
        assert notes("a") == [(["d"])] or notes("a") == [["d"]]

    def test_each_plugin_gets_lists_of_its_own(self, install):
        clears = "@hookimpl(tryfirst=True)\ndef index_updated(upserted):\n    upserted.clear()\n"
        install(a=NOTE, bad=clears)
        upserted = ["u"]
        notify("index_updated", index="i", upserted=upserted, deleted=[])
        assert notes("a") == [("i", ["u"], [])]
        assert upserted == ["u"]

    @pytest.mark.parametrize(
        ("error", "says"),
        [
            ("raise RuntimeError('not my day')", "not my day"),
            ("raise BaseException('not my day')", "not my day"),
            ("async def later(): pass\n    return later()", "must not be asynchronous"),
        ],
    )
    def test_an_error_is_logged_and_harms_no_other(self, install, caplog, error, says):
        install(a=NOTE, bad=FAIL.format(error), c=NOTE)
        notify("index_updated", index="i", upserted=[], deleted=[])
        assert len(notes("a")) == len(notes("c")) == 1
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "index_updated of bad_plugin (plugin 'bad' of bad 1.0) failed" in record.message
        assert says in str(record.exc_info[1])

    def test_two_entry_points_to_one_module_hear_it_once(self, site):
        site.install("a", {"a": "a_plugin", "old": "a_plugin"}, a_plugin=PLUGIN + NOTE)
        notify("index_updated", index="i", upserted=[], deleted=[])
        assert len(notes("a")) == 1

    def test_search_performed(self, install):
        body = NOTE.replace("index_updated(index, upserted, deleted)", "search_performed(query)")
        install(a=body.replace("(index, upserted, deleted)", "query"))
        notify("search_performed", index="i", query="bread?", matches=[], seconds=0.1)
        assert notes("a") == ["bread?"]

    def test_keyboard_interrupt_passes_through(self, install):
        install(a="@hookimpl\ndef index_updated():\n    raise KeyboardInterrupt\n")
        with pytest.raises(KeyboardInterrupt):
            notify("index_updated", index="i", upserted=[], deleted=[])


SAVE_TWICE = """
@hookimpl
def {}():
    from django.contrib.auth.models import Group

    Group.objects.create(name="same")
    Group.objects.create(name="same")
"""


class TestTransactions:
    """After a hook's query failed, a request's transaction (``ATOMIC_REQUESTS``) can be used."""

    def test_of_a_search(self, db, install):
        install(a=SAVE_TWICE.format("search_performed"))
        notify("search_performed", index="i", query="bread?", matches=[], seconds=0.1)
        assert list(Group.objects.all()) == []

    def test_of_an_update(self, db, install):
        install(a=SAVE_TWICE.format("documents_prepared"))
        with pytest.raises(PluginBroken, match="IntegrityError"):
            prepared("index", "0")
        assert list(Group.objects.all()) == []

    def test_without_a_transaction_no_query_is_added(
        self, transactional_db, install, django_assert_num_queries
    ):
        install(a=NOTE)
        with django_assert_num_queries(0):
            notify("index_updated", index="i", upserted=[], deleted=[])


class TestSwitchingOff:
    def test_hooks_of_a_disabled_plugin_are_not_called(self, install):
        install(a=ADD.format("a"), b=ADD.format("b"))
        with override_settings(WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS=["a"]):
            assert prepared("index") == ["b"]
        assert prepared("index") == ["b", "a"]

    @pytest.mark.parametrize("disabled", ["acme", None, 3, [1], {"a": 1, 2: 3}])
    def test_anything_but_a_list_of_names(self, site, disabled):
        with (
            override_settings(WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS=disabled),
            pytest.raises(ConfigurationError, match="must be a list of plugin names") as error,
        ):
            active_registry()
        assert "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS" in str(error.value)
        assert repr(disabled) in str(error.value)

    @pytest.mark.parametrize("disabled", [["a"], ("a",), {"a"}])
    def test_any_kind_of_list(self, install, disabled):
        install(a=NOTE)
        with override_settings(WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS=disabled):
            assert active_registry().plugins == ()
