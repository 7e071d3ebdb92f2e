"""The system checks: what each says, and that none of them stops the others."""

import logging

import pytest
from django.apps import apps
from django.core import checks as django_checks
from django.db import DatabaseError, InterfaceError, connection
from django.utils.translation import gettext_lazy

from tests.fake_distributions import BACKEND, EMPTY_PLUGIN, offering
from tests.fake_distributions import make_site as make_fake_site
from tests.testapp.models import Note
from tests.testapp.vector_indexes import ProductIndex
from wagtail_vector_index import checks
from wagtail_vector_index.handlers import embedding_backends, vector_backends
from wagtail_vector_index.indexes import TextSplitter
from wagtail_vector_index.indexing.status import status_of
from wagtail_vector_index.models import FilterField
from wagtail_vector_index.models.tables import Collection

VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
DISABLED = "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS"


@pytest.fixture
def site(tmp_path, monkeypatch):
    yield from make_fake_site(tmp_path, monkeypatch)


@pytest.fixture
def acme(site, settings):
    """A vector backend of a plugin, configured, with more source at the end of its class."""

    def install(more="", **options):
        plugin = offering("vector", acme='path="acme_backend.AcmeBackend"')
        backend = f"{BACKEND}\n    {more}"
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=plugin, acme_backend=backend)
        setattr(settings, VECTOR, {"default": {"BACKEND": "acme", **options}})

    return install


def told(messages):
    return [(message.id.rpartition(".")[2], message.msg, message.hint) for message in messages]


def ids(messages):
    return [message.id.rpartition(".")[2] for message in messages]


def test_they_are_registered():
    registered = django_checks.registry.registry.registered_checks
    assert {
        checks.check_settings,
        checks.check_plugins,
        checks.check_backends,
        checks.check_indexes,
        checks.check_database,
    } <= registered


def test_nothing_to_say_about_a_site_that_is_right():
    assert checks.check_plugins() == checks.check_backends() == checks.check_indexes() == []


@pytest.mark.parametrize(
    "name",
    [
        "WAGTAIL_VECTOR_INDEX_VECTOR_BACKEND",
        "WAGTAIL_VECTOR_INDEXES_VECTOR_BACKENDS",
        "WAGTAIL_VECTOR_INDEX_VECTORS_BACKENDS",
        "WAGTAILVECTORINDEX_VECTOR_BACKENDS",
    ],
)
def test_a_misspelt_setting(settings, name):
    setattr(settings, name, {"default": {"BACKEND": "numpy"}})
    assert told(checks.check_settings()) == [
        ("W006", f"{name} is not a setting of Wagtail Vector Index.", f"Did you mean {VECTOR}?")
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DISABLED", f"Did you mean {DISABLED}?"),
        ("BACKENDS", "Did you mean "),
        ("STORAGE_PROVIDER", f"The settings are {VECTOR}, "),
    ],
)
def test_a_setting_that_does_not_exist(settings, name, hint):
    setattr(settings, f"WAGTAIL_VECTOR_INDEX_{name}", {})
    (message,) = checks.check_settings()
    assert message.id.endswith("W006")
    assert message.hint.startswith(hint)


@pytest.mark.parametrize("owner", [("prod",), 5, " prod", True])
def test_an_owner_that_is_no_name(settings, owner):
    settings.WAGTAIL_VECTOR_INDEX_OWNER = owner
    assert told(checks.check_settings()) == [
        (
            "E007",
            f"WAGTAIL_VECTOR_INDEX_OWNER is {owner!r}.",
            'It must be a text without leading or trailing spaces, such as "production".',
        )
    ]


@pytest.mark.parametrize("owner", ["prod", "", None])
def test_an_owner_that_is_right(settings, owner):
    settings.WAGTAIL_VECTOR_INDEX_OWNER = owner
    assert checks.check_settings() == []


def test_a_plugins_own_setting_is_not_misspelt(settings, site):
    site.install("acme", {"acme": "acme_plugin"}, acme_plugin=EMPTY_PLUGIN)
    settings.WAGTAIL_VECTOR_INDEX_ACME_TIMEOUT = 5
    settings.WAGTAIL_VECTOR_INDEX_ACME_BACKENDS = {}
    assert checks.check_settings() == []


class TestPlugins:
    def test_a_failure(self, site):
        site.install("acme", {"acme": "acme_plugin"}, version="1.2", acme_plugin="1 / 0")
        assert told(checks.check_plugins()) == [
            (
                "W001",
                "The plugin 'acme' of acme 1.2 is not usable: ZeroDivisionError: division by zero",
                f"Upgrade or uninstall acme, or add 'acme' to {DISABLED}.",
            )
        ]
        (warning,) = checks.check_plugins()
        assert warning.level == logging.WARNING

    def test_a_conflict(self, site):
        for name in ("acme-one", "acme-two"):
            module = name.replace("-", "_")
            site.install(name, {"a": module}, **{module: offering("chat", acme='path="a.B"')})
        assert told(checks.check_plugins()) == [
            (
                "W002",
                (
                    "The plugin 'a' of acme-one 1.0 and the plugin 'a' of acme-two 1.0 both offer"
                    " a chat backend named 'acme'."
                ),
                "Choose one: \"BACKEND\": 'acme-one:acme' or 'acme-two:acme'.",
            )
        ]

    def test_none_of_its_backends_has_what_it_needs(self, site):
        needs = 'path="a.B", requires=("no_such_client",), install="acme[client]"'
        site.install("acme", {"a": "plugin"}, plugin=offering("embedding", acme=needs))
        assert told(checks.check_plugins()) == [
            (
                "W007",
                "The plugin 'a' of acme 1.0 needs no_such_client, which cannot be imported.",
                f"Run: pip install \"acme[client]\", or add 'a' to {DISABLED}.",
            )
        ]

    def test_another_of_its_backends_has_what_it_needs(self, site):
        needs = 'path="a.B", requires=("no_such_client",)'
        source = offering("vector", acme=needs, plain='path="a.C"')
        site.install("acme", {"a": "plugin"}, plugin=source)
        assert checks.check_plugins() == []

    def test_a_plugin_that_offers_no_backend_lacks_nothing(self, site):
        site.install("acme", {"a": "plugin"}, plugin=EMPTY_PLUGIN)
        assert checks.check_plugins() == []

    def test_switched_off_in_vain(self, site, settings):
        site.hide()
        site.install("acme", {"acme": "acme_plugin", "more": "acme_plugin"}, acme_plugin="")
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = ["acme", "acne", "more"]
        assert told(checks.check_plugins()) == [
            (
                "W003",
                f"{DISABLED} names 'acne', but no such plugin is installed.",
                "Installed plugins: acme, more.",
            )
        ]

    def test_switched_off_in_vain_without_plugins(self, site, settings):
        site.hide()
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = ["acme"]
        assert told(checks.check_plugins())[0][2] == "Installed plugins: none."

    def test_the_setting_is_wrong_which_is_said_once(self, settings):
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = "acme"
        messages = [*checks.check_plugins(), *checks.check_backends(), *checks.check_indexes()]
        assert ids(messages) == ["E001"]
        assert "must be a list of plugin names, not 'acme'" in messages[0].msg


class TestBackends:
    def test_each_alias_that_is_wrong(self, settings):
        setattr(
            settings,
            VECTOR,
            {"a": {"BACKEND": "nonsense"}, "b": {"BACKEND": 5}, "default": {"BACKEND": "numpy"}},
        )
        messages = checks.check_backends()
        assert ids(messages) == ["E001", "E001"]
        assert [f"{VECTOR}['a']" in messages[0].msg, f"{VECTOR}['b']" in messages[1].msg]

    def test_what_is_wrong_with_a_backend_is_not_said_again_for_each_index(self, settings):
        setattr(settings, VECTOR, {"default": {"BACKEND": "nonsense"}})
        assert ids([*checks.check_backends(), *checks.check_indexes()]) == ["E001"]

    @pytest.mark.parametrize("setting", [VECTOR, "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"])
    def test_nor_what_is_wrong_with_the_setting(self, settings, setting):
        setattr(settings, setting, "numpy")
        assert ids([*checks.check_backends(), *checks.check_indexes()]) == ["E001"]

    def test_the_check_of_a_backend(self, acme):
        acme(
            "def check(self):\n"
            "        from django.core.checks import Error\n"
            "        return [Error('no disk', id='acme.E001')]\n"
        )
        assert [(message.id, message.msg) for message in checks.check_backends()] == [
            ("acme.E001", "no disk")
        ]

    def test_the_check_of_a_backend_that_fails(self, acme):
        acme(
            "def check(self):\n        raise OSError(f'refused {self.options.api_key}')\n",
            API_KEY="abc123",
        )
        assert told(checks.check_backends()) == [
            (
                "E006",
                (
                    f"{VECTOR}['default']: the check of <AcmeBackend 'default'> failed:"
                    " OSError: refused ********"
                ),
                "Report this to the authors of that backend.",
            )
        ]

    @pytest.mark.parametrize(
        ("returned", "says"),
        [
            ("None", "TypeError: check() must return a list of messages, not None."),
            ("'all is well'", "must return a list of messages, not 'all is well'."),
            ("[True]", "TypeError: check() must return messages of checks, not True."),
        ],
    )
    def test_the_check_of_a_backend_that_returns_nonsense(self, acme, returned, says):
        acme(f"def check(self):\n        return {returned}\n")
        (message,) = checks.check_backends()
        assert message.id.endswith("E006")
        assert says in message.msg

    def test_the_messages_of_a_backend_show_no_secret(self, acme):
        acme(
            "def check(self):\n"
            "        from django.core.checks import Warning\n"
            "        says, hint = f'bad host {self.options.host}', self.options.api_key\n"
            "        return [Warning(says, hint=hint, id='acme.W1')]\n",
            HOST="https://me:hunter2@acme.test",
            API_KEY="hunter3",
        )
        assert told(checks.check_backends()) == [
            ("W1", "bad host https://me:********@acme.test", "********")
        ]

    def test_the_check_of_a_backend_that_panics(self, acme):
        acme("def check(self):\n        raise BaseException('in Rust')\n")
        assert ids(checks.check_backends()) == ["E006"]

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("metrics = None", "AcmeBackend.metrics must be a set of at least one of"),
            ("metrics = 'cosine'", "not 'cosine'."),
            ("metrics = frozenset()", "not frozenset()."),
            ("metrics = frozenset({'manhattan'})", "not frozenset({'manhattan'})."),
            ("max_batch_records = 0", "AcmeBackend.max_batch_records must be an int of at least 1"),
            ("max_batch_bytes = '1MB'", "max_batch_bytes must be an int of at least 1, not '1MB'."),
        ],
    )
    def test_attributes_of_a_backend_that_make_no_sense(self, acme, line, says):
        acme(line)
        (message,) = checks.check_backends()
        assert message.id.endswith("E001")
        assert "acme_backend.AcmeBackend of acme cannot be imported: TypeError: " in message.msg
        assert says in message.msg

    def test_the_check_of_a_backend_that_finds_a_configuration_error(self, acme):
        acme(
            "def check(self):\n"
            "        from wagtail_vector_index.exceptions import InvalidOptions\n"
            "        raise InvalidOptions('HOST and PATH exclude each other')\n"
        )
        assert told(checks.check_backends()) == [("E001", "HOST and PATH exclude each other", None)]

    def test_no_network_and_no_instance_kept_open(self, acme):
        acme("def health(self):\n        raise AssertionError('asked')\n")
        assert checks.check_backends() == []

    @pytest.mark.parametrize("value", [None, "deleted"])
    def test_the_default_is_wanted_where_something_is_indexed(
        self, site, settings, monkeypatch, value
    ):
        settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = None
        if value == "deleted":
            delattr(settings, VECTOR)
        site.hide()
        monkeypatch.setattr(checks, "all_indexes", lambda: [Note.vector_index])
        (message,) = checks.check_indexes()
        assert message.id.endswith("E003")
        assert 'pip install "wagtail-vector-index[numpy]"' in message.hint
        monkeypatch.setattr(checks, "all_indexes", list)
        assert checks.check_indexes() == checks.check_backends() == []


class TestIndexes:
    @pytest.fixture
    def index(self, monkeypatch):
        """The only index, of a class that can be changed."""
        index = type(Note.vector_index)()
        monkeypatch.setattr(checks, "all_indexes", lambda: [index])
        return type("NoteIndex", (), {"set": lambda self, **kw: vars(index).update(kw)})()

    def test_fields(self, index, monkeypatch):
        monkeypatch.setattr(Note, "embedding_fields", ["text"])
        (message,) = checks.check_indexes()
        assert "holds 'text', which is not an EmbeddingField" in message.msg
        assert message.id.endswith("E001")

    def test_filter_fields(self, index, monkeypatch):
        field = FilterField("size", source="stars", type="integer")
        monkeypatch.setattr(Note, "vector_filter_fields", [field])
        (message,) = checks.check_indexes()
        assert "size: type must be one of str, int," in message.msg
        assert message.msg.endswith("not 'integer'.")

    def test_aliases(self, index):
        index.set(vector_backend="archive", embedding_backend="defualt")
        first, second = checks.check_indexes()
        assert first.id.endswith("E003")
        assert first.msg.endswith(f"uses {VECTOR}['archive'], which is not configured.")
        assert second.hint == "Configured: 'default'. Did you mean 'default'?"

    def test_the_alias_of_a_chat_backend(self, index, settings):
        """Without one of its own, an index need not answer questions."""
        assert checks.check_indexes() == []
        index.set(chat_backend="internal")
        (message,) = checks.check_indexes()
        assert message.id.endswith("E003")
        assert "WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS['internal']" in message.msg

    def test_the_alias_of_a_reranking_backend(self, index):
        assert checks.check_indexes() == []
        index.set(reranking_backend="cross")
        (message,) = checks.check_indexes()
        assert message.id.endswith("E003")
        assert "WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS['cross'], which is not" in message.msg

    def test_an_alias_of_another_type(self, index):
        index.set(vector_backend=["default"])
        (message,) = checks.check_indexes()
        assert message.id.endswith("E003")

    @pytest.mark.parametrize(
        ("queryset", "kind"),
        [
            (Note.objects.all()[:5], "sliced"),
            (Note.objects.all().union(Note.objects.all()), "combined"),
            (Note.objects.values("pk"), "made of values"),
            (Note.objects.values_list("pk", flat=True), "made of values"),
        ],
    )
    def test_querysets_that_cannot_be_filtered(self, index, queryset, kind):
        index.set(querysets=[queryset])
        (message,) = checks.check_indexes()
        assert message.id.endswith("E001")
        assert f"a queryset of testapp.Note is {kind}, so it cannot be filtered" in message.msg

    @pytest.mark.parametrize(
        ("declared", "told"),
        [
            ({"chunk_tokens": 0}, "chunk_tokens must be an int of at least 1, not 0."),
            ({"chunk_tokens": "256"}, "chunk_tokens must be an int of at least 1, not '256'."),
            ({"chunk_overlap": -1}, "chunk_overlap must be an int of at least 0, not -1."),
            ({"chunk_overlap": True}, "chunk_overlap must be an int of at least 0, not True."),
            (
                {"chunk_tokens": 32, "chunk_overlap": 32},
                "chunk_overlap must be below chunk_tokens, which is 32, not 32.",
            ),
        ],
    )
    def test_chunks(self, index, declared, told):
        index.set(**declared)
        (message,) = checks.check_indexes()
        assert message.msg == f"testapp.Note: {told}"

    @pytest.mark.parametrize(
        ("declared", "told"),
        [
            ({"metric": ["cosine"]}, "metric must be the name of a metric, not ['cosine']."),
            ({"include_private": "False"}, "include_private must be True or False, not 'False'."),
            ({"keep_embeddings": "yes"}, "keep_embeddings must be True or False, not 'yes'."),
            ({"fusion": "rank"}, "fusion must be 'scores' or 'ranks', not 'rank'."),
            ({"vector_weight": 60}, "vector_weight must be a number from 0 to 1, or None, not 60."),
        ],
    )
    def test_attributes(self, index, declared, told):
        index.set(**declared)
        (message,) = checks.check_indexes()
        assert message.msg == f"testapp.Note: {told}"

    def test_a_name_that_cannot_be_stored(self, monkeypatch):
        index = type("KettleIndex", (ProductIndex,), {"name": "n" * 121, "__module__": "shop"})
        monkeypatch.setattr(checks, "all_indexes", lambda: [index()])
        (message,) = checks.check_indexes()
        assert message.msg.endswith("n…: name must have at most 120 characters, not 121.")

    @pytest.mark.parametrize("name", [gettext_lazy("kettles"), 5])
    def test_a_name_is_made_a_text(self, name):
        index = type("KettleIndex", (ProductIndex,), {"name": name, "__module__": "shop"})
        assert index().name == str(name)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("live", True), ("fetch", "x"), ("embedder", "x"), ("configuration", {}), ("search", [])],
    )
    def test_an_attribute_with_the_name_of_a_method(self, monkeypatch, name, value):
        attributes = {"name": "kettles", "__module__": "shop", name: value}
        index = type("KettleIndex", (ProductIndex,), attributes)
        monkeypatch.setattr(checks, "all_indexes", lambda: [index()])
        ((id, message, _),) = told(checks.check_indexes())
        assert id == "E001"
        assert f"kettles: {name!r} is a method or a property of every index" in message
        assert message.endswith("Correct shop.KettleIndex.")

    def test_a_method_may_be_overridden(self, monkeypatch):
        attributes = {
            "name": "kettles",
            "__module__": "shop",
            "live": lambda self, queryset: queryset,
            "embedder": property(lambda self: None),
        }
        index = type("KettleIndex", (ProductIndex,), attributes)
        monkeypatch.setattr(checks, "all_indexes", lambda: [index()])
        assert checks.check_indexes() == []

    def test_a_misspelt_attribute(self, monkeypatch):
        attributes = {
            "name": "kettles",
            "__module__": "shop",
            "embeding_backend": "other",
            "text_spliter": TextSplitter,
            "_filter_fields": [],
            "get_queryset": lambda self: self.get_querysets()[0],
            "vector_backends": property(lambda self: [self.vector_backend]),
        }
        index = type("KettleIndex", (ProductIndex,), attributes)
        monkeypatch.setattr(checks, "all_indexes", lambda: [index()])
        assert told(checks.check_indexes()) == [
            (
                "W015",
                "kettles: 'embeding_backend' is not an attribute of an index.",
                "Did you mean 'embedding_backend'?",
            ),
            (
                "W015",
                "kettles: 'text_spliter' is not an attribute of an index.",
                "Did you mean 'text_splitter'?",
            ),
        ]

    def test_filter_fields_under_their_name_on_a_model(self, monkeypatch):
        attributes = {"name": "kettles", "__module__": "shop", "vector_filter_fields": ["stars"]}
        index = type("KettleIndex", (ProductIndex,), attributes)
        monkeypatch.setattr(checks, "all_indexes", lambda: [index()])
        (message,) = checks.check_indexes()
        assert message.id.endswith("W015")
        assert message.hint == "Did you mean 'filter_fields'?"

    @pytest.mark.parametrize("name", ["filter_fields", "vector_filter_field"])
    def test_a_misspelt_attribute_of_a_model(self, monkeypatch, name):
        monkeypatch.delattr(Note, "vector_filter_fields")
        monkeypatch.setattr(Note, name, ["stars"], raising=False)
        assert told(checks.check_indexes()) == [
            (
                "W015",
                f"tests.testapp.models.Note: {name!r} is not an attribute of VectorIndexedMixin.",
                "Did you mean 'vector_filter_fields'?",
            )
        ]

    def test_metric(self, index):
        index.set(metric="manhattan")
        (message,) = checks.check_indexes()
        assert message.id.endswith("E004")
        assert message.hint == "It supports: cosine, dot, euclidean."

    def test_names(self, monkeypatch):
        twice = [Note.vector_index, type(Note.vector_index)()]
        monkeypatch.setattr(checks, "all_indexes", lambda: twice)
        (message,) = checks.check_indexes()
        assert message.id.endswith("E002")
        assert "Two vector indexes are named 'testapp.Note'" in message.msg

    def test_its_own_code_fails(self, index):
        index.set(get_querysets=lambda: 1 / 0)
        (message,) = checks.check_indexes()
        assert message.id.endswith("E005")
        assert "testapp.Note cannot be read: ZeroDivisionError" in message.msg
        assert "NoteIndex" in message.hint


def active_collection():
    return Collection.objects.create(
        name="note",
        index="testapp.Note",
        vector_backend="default",
        fingerprint="another:model:3",
        chunking="256/0",
        dimensions=3,
        metric="cosine",
        state=Collection.State.ACTIVE,
    )


class TestWriters:
    """Whether a thread that writes to an index is in the way of those who save."""

    @pytest.fixture
    def transactions(self, monkeypatch, settings):
        """Sets how they begin."""
        settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True

        def begin(mode):
            if connection.vendor != "sqlite":
                pytest.skip("this is about SQLite")
            monkeypatch.setitem(connection.settings_dict, "NAME", "site.sqlite3")
            monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", mode)

        return begin

    @pytest.mark.parametrize("mode", [None, "DEFERRED"])
    def test_deferred(self, transactions, mode):
        transactions(mode)
        (warning,) = checks.check_indexes()
        assert ids([warning]) == ["W008"]
        assert "'default'" in warning.msg
        assert "'transaction_mode': 'IMMEDIATE'" in warning.hint

    def test_in_memory(self, transactions, monkeypatch):
        transactions(None)
        monkeypatch.setitem(connection.settings_dict, "NAME", ":memory:")
        assert checks.check_indexes() == []

    @pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
    def test_they_wait(self, transactions, mode):
        transactions(mode)
        assert checks.check_indexes() == []

    def test_nothing_is_written_by_a_thread(self, transactions, settings):
        transactions(None)
        settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False
        assert checks.check_indexes() == []

    def test_a_queue_writes(self, transactions, settings):
        transactions(None)
        dummy = "django_tasks.backends.dummy.DummyBackend"
        settings.TASKS = {"default": {"BACKEND": dummy}}
        assert checks.check_indexes() == []


@pytest.mark.django_db
class TestDatabase:
    def test_only_of_the_database_of_the_record(self, monkeypatch):
        monkeypatch.setattr(checks, "_database_messages", lambda: iter("x"))
        assert checks.check_database() == []
        assert checks.check_database(databases=["other"]) == []
        assert checks.check_database(databases=["default"]) == ["x"]

    def test_nothing_to_say(self):
        assert checks.check_database(databases=["default"]) == []

    def test_leftovers_of_the_older_project(self):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE pgvector_pgvectorembedding (id integer)")
            cursor.execute("CREATE TABLE wagtail_vector_index_embedding (id integer)")
        (message,) = checks.check_database(databases=["default"])
        assert message.id.endswith("W004")
        assert "0.10 or older" in message.msg
        assert message.hint.endswith(
            'DROP TABLE "pgvector_pgvectorembedding"; DROP TABLE "wagtail_vector_index_embedding";'
        )

    def test_an_index_to_rebuild(self, embedder):
        active_collection()
        (message,) = checks.check_database(databases=["default"])
        assert message.id.endswith("W005")
        assert "testapp.Note was built with other settings and cannot be searched" in message.msg
        assert message.hint == "Run: manage.py update_vector_indexes testapp.Note"

    def test_what_has_changed_is_known_without_the_embedding_service(self, embedder, monkeypatch):
        """Even if only the service knows the size of its vectors."""
        active_collection()
        monkeypatch.setattr(type(embedder), "known_dimensions", None)
        (message,) = checks.check_database(databases=["default"])
        (problem,) = status_of(Note.vector_index).problems
        for text in (message.msg, problem.message):
            assert "chunking '256/0' is now" in text
        assert not embedder.calls

    @pytest.mark.parametrize("error", [OSError("no model"), RuntimeError])
    def test_an_embedding_backend_that_fails_does_not_stop_migrate(
        self, embedder, monkeypatch, error
    ):
        active_collection()

        def fail(*arguments):
            raise error

        monkeypatch.setattr(checks, "outdated_by", fail)
        assert checks.check_database(databases=["default"]) == []

    def test_before_the_first_migrate(self, monkeypatch):
        monkeypatch.setattr(checks.Collection._meta, "db_table", "not_there_yet")
        assert checks.check_database(databases=["default"]) == []

    @pytest.mark.parametrize("error", [DatabaseError, InterfaceError])
    def test_a_database_that_cannot_be_reached(self, monkeypatch, error):
        def fail(*arguments):
            raise error

        monkeypatch.setattr(connection.introspection, "table_names", fail)
        assert checks.check_database(databases=["default"]) == []


def test_the_columns_of_every_index_of_a_table_fit_into_mysql():
    """There, an index takes 3,072 bytes, and a character takes four."""
    for model in apps.get_app_config("wagtail_vector_index").get_models():
        for index in [*model._meta.indexes, *model._meta.constraints]:
            fields = [model._meta.get_field(name) for name in index.fields]
            size = sum(4 * (getattr(field, "max_length", None) or 16) for field in fields)
            assert size <= 3_072, index.name


def test_the_handlers_are_those_of_the_settings():
    assert list(vector_backends) == list(embedding_backends) == ["default"]
