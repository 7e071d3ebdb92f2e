"""Backends by alias: one a process, and an error that says what to do for all that is wrong."""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.views.debug import ExceptionReporter

from tests.fake_distributions import BACKEND, offering
from tests.fake_distributions import make_site as make_fake_site
from wagtail_vector_index import handlers
from wagtail_vector_index.exceptions import (
    BackendNameConflict,
    ClientNotInstalled,
    ConfigurationError,
    InvalidOptions,
    PluginBroken,
    PluginNotInstalled,
    UnknownAlias,
    UnknownBackend,
)
from wagtail_vector_index.handlers import chat_backends, embedding_backends, vector_backends

VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
EMBEDDING = "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"
CHAT = "WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS"
CIRCULATING = {"default": {"BACKEND": "openai", "API_KEY": "abc123", "HOST": "https://example.com"}}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where fake distributions are installed, beside the real ones."""
    yield from make_fake_site(tmp_path, monkeypatch)


@pytest.fixture
def acme(site):
    """An installed plugin that offers the vector backend ``acme``."""

    def install(backend=BACKEND, spec="", **more):
        plugin = offering("vector", acme=f'path="acme_backend.AcmeBackend"{spec}')
        site.install(
            "acme-vectors",
            {"acme": "acme_plugin"},
            acme_plugin=plugin,
            acme_backend=backend,
            **more,
        )

    return install


@pytest.fixture
def configure(settings):
    def configure(setting=VECTOR, **aliases):
        setattr(settings, setting, aliases)

    return configure


def error(expected, handler=vector_backends, alias="default"):
    with pytest.raises(ConfigurationError) as caught:
        handler[alias]
    assert type(caught.value) is expected
    assert isinstance(caught.value, ImproperlyConfigured)
    return caught.value


class TestDefaultSettings:
    def test_the_vector_backend_is_numpy(self, settings):
        delattr(settings, VECTOR)
        assert list(vector_backends) == ["default"]
        assert vector_backends.resolver("default").name == "numpy"

    @pytest.mark.parametrize("handler", [vector_backends, embedding_backends])
    def test_another_plugin_cannot_spoil_it_by_taking_its_name(self, settings, site, handler):
        delattr(settings, handler.setting)
        name = handler.resolver("default").name
        own = type(handler["default"])
        source = offering(handler.kind, **{name: 'path="other.Other"'})
        site.install("other", {"other": "other_plugin"}, other_plugin=source)
        assert handler.resolver("default").name == f"wagtail-vector-index-{name}:{name}"
        assert type(handler["default"]) is own

    def test_two_others_that_have_its_name_are_a_conflict(self, settings, site):
        delattr(settings, VECTOR)
        site.hide()
        for name in ("one", "two"):
            source = offering("vector", numpy=f'path="{name}.Numpy"')
            site.install(name, {name: f"{name}_plugin"}, **{f"{name}_plugin": source})
        assert "one 1.0 and two 1.0 both offer" in str(error(BackendNameConflict))

    def test_so_it_is_without_numpy_which_is_then_asked_for(self, settings, site):
        delattr(settings, VECTOR)
        site.hide("wagtail-vector-index-numpy")
        message = str(error(PluginNotInstalled))
        assert message.startswith(f"{VECTOR}['default']['BACKEND']: ")
        assert 'Run: pip install "wagtail-vector-index[numpy]"' in message

    def test_the_embedding_backend_is_wordllama_if_it_is_installed(self, settings, site):
        delattr(settings, EMBEDDING)
        site.hide()
        assert list(embedding_backends) == []
        site.install("w", {"w": "w_plugin"}, w_plugin=offering("embedding", wordllama='path="w.W"'))
        assert list(embedding_backends) == ["default"]
        assert embedding_backends.resolver("default").name == "wordllama"

    def test_wordllama_that_is_broken_is_told_rather_than_missed(self, settings, site):
        delattr(settings, EMBEDDING)
        site.hide()
        site.install("w", {"wordllama": "w_plugin"}, w_plugin="raise RuntimeError('the reason')")
        assert "the reason" in str(error(PluginBroken, embedding_backends))

    def test_no_embedding_backend_says_what_to_do(self, settings, site):
        delattr(settings, EMBEDDING)
        site.hide()
        message = str(error(UnknownAlias, embedding_backends))
        assert f"{EMBEDDING} has no alias 'default'." in message
        assert f'Configure it: {EMBEDDING} = {{\'default\': {{"BACKEND": "…"}}}}' in message
        assert 'or run: pip install "wagtail-vector-index[wordllama]"' in message

    def test_there_is_no_default_for_chat(self):
        assert list(chat_backends) == []
        assert "default" not in chat_backends
        assert f"None is configured. Add it: {CHAT} = " in str(error(UnknownAlias, chat_backends))

    @pytest.mark.parametrize("handler", [vector_backends, embedding_backends])
    def test_an_empty_setting_means_none(self, settings, handler):
        setattr(settings, handler.setting, {})
        assert list(handler) == []
        message = str(error(UnknownAlias, handler))
        assert "pip install" not in message
        assert f"Add it: {handler.setting} = " in message


class TestInstances:
    def test_options_reach_the_backend(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme", "HOST": "db.example", "TIMEOUT": 5})
        backend = vector_backends["default"]
        assert backend.alias == "default"
        assert (backend.options.host, backend.options.timeout) == ("db.example", 5)

    @pytest.mark.parametrize("name", ["acme", "acme-vectors:acme", "acme_backend.AcmeBackend"])
    def test_by_short_name_distribution_and_path(self, acme, configure, name):
        acme()
        configure(default={"BACKEND": name})
        assert type(vector_backends["default"]).__name__ == "AcmeBackend"

    def test_each_alias_has_its_own(self, acme, configure):
        acme()
        configure(a={"BACKEND": "acme"}, b={"BACKEND": "acme"})
        assert vector_backends["a"] is vector_backends["a"]
        assert vector_backends["a"] is not vector_backends["b"]
        assert list(vector_backends) == ["a", "b"]
        assert "a" in vector_backends
        assert "c" not in vector_backends

    def test_one_for_32_threads(self, acme, configure):
        acme(backend=f"import time\ntime.sleep(0.05)\n{SLOW}")
        configure(default={"BACKEND": "acme"})
        start = threading.Barrier(32)

        def get(_):
            start.wait()
            return vector_backends["default"]

        with ThreadPoolExecutor(32) as pool:
            found = set(map(id, pool.map(get, range(32))))
        assert len(found) == 1
        assert type(vector_backends["default"]).made == 1

    def test_one_for_all_coroutines_and_their_threads(self, acme, configure):
        acme(backend=SLOW)
        configure(default={"BACKEND": "acme"})

        async def get():
            return vector_backends["default"]

        async def main():
            threads = (asyncio.to_thread(lambda: vector_backends["default"]) for _ in range(8))
            return await asyncio.gather(*(get() for _ in range(8)), *threads)

        assert len(set(map(id, asyncio.run(main())))) == 1
        assert type(vector_backends["default"]).made == 1

    def test_a_failure_is_not_kept(self, acme, configure, monkeypatch):
        acme(
            backend=f"import os\n{BACKEND}\n    def __init__(self, *args):\n"
            "        super().__init__(*args)\n        os.environ['ACME_READY']\n"
        )
        configure(default={"BACKEND": "acme"})
        error(PluginBroken)
        monkeypatch.setenv("ACME_READY", "1")
        assert vector_backends["default"]


SLOW = f"""
import time
{BACKEND}
    made = 0
    making = False

    def __init__(self, *args):
        super().__init__(*args)
        type(self).making = True
        time.sleep(0.05)
        type(self).made += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
class TestFork:
    @pytest.fixture
    def fork(self):
        """Run a function in a child process; it must give True within five seconds."""

        def run(function):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = 0 if function() else 2
                finally:
                    os._exit(code)
            for _ in range(500):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return "the child hangs"

        return run

    def test_the_child_makes_another_and_closes_none(self, acme, configure, fork):
        acme()
        configure(default={"BACKEND": "acme"})
        parents = vector_backends["default"]

        def child():
            own = vector_backends["default"]
            return own is not parents and not parents.closed and own is vector_backends["default"]

        assert fork(child) == 0
        assert vector_backends["default"] is parents

    def test_the_childs_exit_closes_only_its_own(self, acme, configure, fork):
        acme()
        configure(default={"BACKEND": "acme"})
        parents = vector_backends["default"]

        def child():
            own = vector_backends["default"]
            handlers._close_all()
            return own.closed and not parents.closed

        assert fork(child) == 0

    def test_nothing_of_the_parents_is_finalised_in_the_child(
        self, acme, configure, fork, tmp_path
    ):
        mark = tmp_path / "finalised"
        acme(backend=f"{BACKEND}\n    def __del__(self):\n        open({str(mark)!r}, 'w')\n")
        configure(default={"BACKEND": "acme"})
        vector_backends["default"]

        def child():
            import gc

            gc.collect()
            return not mark.exists()

        assert fork(child) == 0
        # Made in this module's lifetime: without the fake file the finaliser has nowhere to write.
        type(vector_backends["default"]).__del__ = lambda self: None

    def test_what_a_child_does_first(self, acme, configure):
        """The same without a fork, so that it can be watched."""
        acme()
        configure(default={"BACKEND": "acme"})
        parents = vector_backends["default"]
        lock = vector_backends._lock
        handlers._after_fork()
        assert vector_backends["default"] is not parents
        assert vector_backends._lock is not lock
        assert not parents.closed
        assert handlers._inherited.pop(-3) == {"default": parents}

    def test_a_lock_held_by_another_thread(self, acme, configure, fork):
        acme(backend=SLOW.replace("0.05", "1.0"))
        configure(default={"BACKEND": "acme"})
        thread = threading.Thread(target=lambda: vector_backends["default"])
        thread.start()
        module = "acme_backend"
        while not getattr(getattr(sys.modules.get(module), "AcmeBackend", None), "making", False):
            time.sleep(0.001)
        started = time.monotonic()
        assert fork(lambda: vector_backends["default"] is vector_backends["default"]) == 0
        assert time.monotonic() - started < 5
        thread.join()


class TestSettingsChange:
    def test_backends_are_closed_and_made_again(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme", "HOST": "one"})
        before = vector_backends["default"]
        with override_settings(**{VECTOR: {"default": {"BACKEND": "acme", "HOST": "two"}}}):
            assert before.closed
            assert vector_backends["default"].options.host == "two"
        assert vector_backends["default"].options.host == "one"
        assert vector_backends["default"] is not before

    def test_a_setting_of_another_kind_changes_nothing(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme"})
        before = vector_backends["default"]
        with override_settings(**{CHAT: {}}, DEBUG=True):
            assert vector_backends["default"] is before

    def test_switching_a_plugin_off(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme"})
        assert vector_backends["default"]
        with override_settings(WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS=["acme"]):
            assert "is switched off" in str(error(UnknownBackend))


class TestClosing:
    def test_all_are_closed_and_made_again_on_use(self, acme, configure):
        acme()
        configure(a={"BACKEND": "acme"}, b={"BACKEND": "acme"})
        a, b = vector_backends["a"], vector_backends["b"]
        vector_backends.close_all()
        assert a.closed
        assert b.closed
        assert vector_backends["a"] is not a

    def test_one_that_cannot_be_closed_keeps_no_other_open(self, acme, configure, caplog):
        acme()
        configure(a={"BACKEND": "acme"}, b={"BACKEND": "acme"})
        a, b = vector_backends["a"], vector_backends["b"]
        a.close = lambda: 1 / 0
        vector_backends.close_all()
        assert b.closed
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.message == f"{VECTOR}['a'] cannot be closed."


class TestThreeThingsThatCanBeWrongWithAPlugin:
    def test_it_is_not_installed(self, configure, site):
        site.hide()
        configure(default={"BACKEND": "weaviate"})
        message = str(error(PluginNotInstalled))
        assert message.startswith(f"{VECTOR}['default']['BACKEND']: ")
        assert 'Run: pip install "wagtail-vector-index[weaviate]"' in message

    def test_its_client_is_not_installed(self, acme, configure):
        acme(spec=', requires=("no_such_client",), install="acme[client]"')
        configure(default={"BACKEND": "acme"})
        message = str(error(ClientNotInstalled))
        assert message.startswith(f"{VECTOR}['default']['BACKEND']: ")
        assert "needs no_such_client, which cannot be imported" in message
        assert 'Run: pip install "acme[client]"' in message

    @pytest.mark.parametrize("source", ["raise RuntimeError('the reason')", "import nothing_there"])
    def test_it_is_broken(self, acme, configure, source):
        acme(backend=source)
        configure(default={"BACKEND": "acme"})
        broken = error(PluginBroken)
        assert str(broken.__cause__) in str(broken)
        assert broken.__cause__.__traceback__ is not None

    def test_an_error_while_it_is_made(self, acme, configure):
        acme(
            backend=f"{BACKEND}\n    def __init__(self, *args):\n        raise OSError('no disk')\n"
        )
        configure(default={"BACKEND": "acme"})
        broken = error(PluginBroken)
        assert str(broken) == f"{VECTOR}['default']: AcmeBackend cannot be made: OSError: no disk"
        assert isinstance(broken.__cause__, OSError)

    def test_an_error_that_shows_a_secret_is_neither_shown_nor_chained(self, acme, configure):
        body = "raise OSError(f'bad {args[1].api_key}')"
        acme(backend=f"{BACKEND}\n    def __init__(self, *args):\n        {body}\n")
        configure(default={"BACKEND": "acme", "API_KEY": "abc123"})
        broken = error(PluginBroken)
        assert str(broken).endswith("OSError: bad ********")
        assert broken.__cause__ is broken.__context__ is None

    def test_its_own_configuration_error_passes(self, acme, configure):
        body = "from wagtail_vector_index.exceptions import InvalidOptions"
        raised = "raise InvalidOptions('HOST and PATH exclude each other')"
        acme(backend=f"{body}\n{BACKEND}\n    def __init__(self, *args):\n        {raised}\n")
        configure(default={"BACKEND": "acme"})
        assert str(error(InvalidOptions)) == "HOST and PATH exclude each other"

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("class AcmeBackend: pass", "is not a subclass of wagtail_vector_index.backends.base."),
            ("def AcmeBackend(*args): pass", "acme_backend.AcmeBackend is not a subclass of"),
            (
                BACKEND.replace("class Options(VectorBackend.Options)", "class Options"),
                "Options must",
            ),
            (f"{BACKEND}\n    Options = dict(host='')\n", "Options must be a frozen dataclass"),
            (
                BACKEND.replace("def _create(self, spec): ...", ""),
                "cannot be made: TypeError: Can't instantiate abstract class",
            ),
        ],
    )
    def test_what_it_offers_is_no_backend(self, acme, configure, source, message):
        acme(backend=source)
        configure(default={"BACKEND": "acme"})
        text = str(error(PluginBroken))
        assert text.startswith(f"{VECTOR}['default']")
        assert message in text

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("size: NoSuchType = 1", "name 'NoSuchType' is not defined"),
            ("def __post_init__(self):\n            raise TypeError('oops')", "TypeError: oops"),
        ],
    )
    def test_its_options_are_broken(self, acme, configure, body, message):
        source = BACKEND.replace('host: str = ""', f'host: str = ""\n        {body}')
        acme(backend=f"from __future__ import annotations\n{source}")
        configure(default={"BACKEND": "acme"})
        text = str(error(PluginBroken))
        assert text.startswith(f"{VECTOR}['default']: ")
        assert message in text


class TestMisconfiguration:
    """Each error names the setting, the alias, the key, and what to do."""

    @pytest.mark.parametrize("value", ["numpy", ["numpy"], 5, True])
    def test_the_setting_is_no_dict(self, settings, value):
        setattr(settings, VECTOR, value)
        message = str(error(ConfigurationError))
        assert f'{VECTOR} must be a dict such as {{"default": {{"BACKEND": "…"}}}}' in message
        assert type(value).__name__ in message

    @pytest.mark.parametrize("value", ["numpy", None, ("BACKEND", "numpy")])
    def test_an_alias_is_no_dict(self, configure, value):
        configure(default=value)
        message = str(error(ConfigurationError))
        assert f'{VECTOR}[\'default\'] must be a dict such as {{"BACKEND": "…"}}' in message

    def test_backend_is_missing(self, configure):
        configure(default={"HOST": "x"})
        message = str(error(InvalidOptions))
        assert message.startswith(
            f"{VECTOR}['default']: 'BACKEND' is missing. It is the short name"
        )
        assert "of a vector backend" in message

    @pytest.mark.parametrize("key", ["backend", "BACKENDS", "Backend"])
    def test_backend_is_written_otherwise(self, configure, key):
        configure(default={key: "numpy"})
        assert f"'BACKEND' is missing. Did you mean it by {key!r}?" in str(error(InvalidOptions))

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (None, "None"),
            ("", "''"),
            (5, "int"),
            (["acme", "abc123"], "list"),
            ({"NAME": "acme", "API_KEY": "abc123"}, "dict"),
        ],
    )
    def test_backend_is_no_text(self, configure, value, told):
        configure(default={"BACKEND": value})
        message = str(error(InvalidOptions))
        assert message.startswith(f"{VECTOR}['default']['BACKEND'] must be a text, the short name")
        assert message.endswith(f"not {told}.")

    def test_the_alias_is_missing(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme"}, archive={"BACKEND": "acme"})
        message = str(error(UnknownAlias, alias="archiv"))
        assert f"{VECTOR} has no alias 'archiv'" in message
        assert "Configured: 'default', 'archive'. Did you mean 'archive'?" in message
        assert "Did you mean" not in str(error(UnknownAlias, alias="other"))

    def test_an_unknown_key(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme", "HOTS": "x"})
        message = str(error(InvalidOptions))
        assert message == (
            f"{VECTOR}['default']: unknown key 'HOTS'. Did you mean 'HOST'?"
            " Allowed: API_KEY, BACKEND, HOST, TIMEOUT."
        )

    def test_a_wrong_type(self, acme, configure):
        acme()
        configure(default={"BACKEND": "acme", "TIMEOUT": "5"})
        message = str(error(InvalidOptions))
        assert message == f"{VECTOR}['default']: 'TIMEOUT' must be of type float, not '5'."

    def test_a_path_to_a_backend_of_another_kind(self, configure):
        configure(default={"BACKEND": "tests.testapp.embeddings.WordEmbeddings"})
        message = str(error(PluginBroken))
        assert message.endswith(f"It is an embedding backend: see {EMBEDDING}.")

    def test_an_unknown_backend_names_the_aliases(self, configure, site):
        configure(default={"BACKEND": "nmupy"}, archive={"BACKEND": "numpy"})
        message = str(error(UnknownBackend))
        assert message.startswith(f"{VECTOR}['default']['BACKEND']: ")
        assert "Did you mean 'numpy'?" in message
        assert "Configured aliases: default, archive." in message


@pytest.mark.once
class TestTheExampleThatCirculates:
    """``{"default": {"BACKEND": "openai", "API_KEY": …, "HOST": …}}`` under vector backends."""

    def check(self, message):
        assert message.startswith(
            f"{VECTOR}['default']['BACKEND']: 'openai' is an embedding backend"
        )
        assert "not a vector one" in message
        assert f"Configure it in {EMBEDDING}, and choose a vector backend here." in message
        assert "Configured aliases: default." in message
        assert "abc123" not in message

    def test_with_the_embedding_plugin(self, settings, site):
        site.install(
            "o", {"openai": "o_plugin"}, o_plugin=offering("embedding", openai='path="o.O"')
        )
        site.hide("wagtail-vector-index-openai")
        setattr(settings, VECTOR, CIRCULATING)
        message = str(error(UnknownBackend))
        self.check(message)
        assert "(it is offered by o)" in message

    def test_without_it(self, settings, site):
        site.hide()
        setattr(settings, VECTOR, CIRCULATING)
        message = str(error(UnknownBackend))
        self.check(message)
        assert '(to install it, run: pip install "wagtail-vector-index[openai]")' in message
        assert "Installed vector backends: none." in message

    def test_with_a_third_partys_vector_backend_of_that_name_it_works(self, settings, site):
        plugin = offering("vector", openai='path="third_backend.AcmeBackend"')
        site.install(
            "third-party",
            {"openai-vectors": "third_plugin"},
            third_plugin=plugin,
            third_backend=BACKEND,
        )
        setattr(settings, VECTOR, CIRCULATING)
        backend = vector_backends["default"]
        assert type(backend).__module__ == "third_backend"
        assert backend.options.api_key == "abc123"
        assert backend.options.host == "https://example.com"
        assert "abc123" not in repr(backend) + repr(backend.options)

    def test_under_embedding_backends_only_the_model_is_missing(self, settings):
        setattr(settings, EMBEDDING, CIRCULATING)
        pytest.importorskip("openai")
        message = str(error(InvalidOptions, embedding_backends))
        assert f"{EMBEDDING}['default']: 'MODEL' is missing." in message
        assert "abc123" not in message


SHOWN = "abc123".upper()  # an error report quotes this file, too


class TestErrorReports:
    """Django's debug page shows the variables of every frame that an error passed."""

    BROKEN = f"{BACKEND}\n    def __init__(self, *args):\n        "
    STRICT = BACKEND.replace(
        "    closed = False",
        "        def __post_init__(self):\n            raise {}\n\n    closed = False",
    )

    @pytest.mark.parametrize(
        "broken",
        [
            {"default": {"API_KEY": SHOWN}},
            {"default": {"BACKEND": 3, "API_KEY": SHOWN}},
            {"default": {"BACKEND": "acne", "API_KEY": SHOWN}},
            {"default": {"BACKEND": "acme", "API_KEY": SHOWN, "HSOT": ""}},
            {"default": {"BACKEND": "acme", "API_KEY": SHOWN, "TIMEOUT": "slow"}},
            {"default": {"BACKEND": "acme", "API_KEY": [SHOWN]}},
            {"default": "acme", "other": {"BACKEND": "acme", "API_KEY": SHOWN}},
            [{"BACKEND": "acme", "API_KEY": SHOWN}],
            {"other": {"BACKEND": "acme", "API_KEY": SHOWN}},
        ],
    )
    def test_of_wrong_settings(self, acme, settings, broken):
        acme()
        setattr(settings, VECTOR, broken)
        self.check_report()

    @pytest.mark.parametrize(
        "backend",
        [
            STRICT.format("ValueError('HOST is empty')"),
            STRICT.format("ValueError(f'not {self.api_key}')"),
            STRICT.format("KeyError('a mistake')"),
            STRICT.format("KeyError(self.api_key)"),
            STRICT.format("KeyError('a mistake')").replace("raise", "key = self.api_key; raise"),
            f"{BROKEN}raise OSError('no disk')",
            f"{BROKEN}key = args[1].api_key; raise OSError('no disk')",
            (
                f"{BROKEN}key = args[1].api_key\n        try: 1 / 0\n"
                "        except ZeroDivisionError as error: raise OSError('no disk') from error"
            ),
            f"{BROKEN}raise OSError(args[1].api_key)",
        ],
    )
    def test_of_a_backend_that_cannot_be_made(self, acme, configure, backend):
        acme(backend=f"{backend}\n")
        configure(default={"BACKEND": "acme", "API_KEY": SHOWN})
        self.check_report()

    def test_an_authors_own_mistake_is_traced(self, acme, configure):
        acme(backend=self.STRICT.format("KeyError('a mistake')"))
        configure(default={"BACKEND": "acme"})
        frames = traceback.extract_tb(error(PluginBroken).__cause__.__traceback__)
        assert [frame.name for frame in frames] == ["__post_init__"]

    def check_report(self):
        try:
            vector_backends["default"]
        except ConfigurationError:
            page = ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
        assert "ConfigurationError" in page
        assert SHOWN not in page


def test_all_is_closed_when_the_process_ends(acme, configure):
    acme()
    configure(default={"BACKEND": "acme"})
    backend = vector_backends["default"]
    handlers._close_all()
    assert backend.closed


def test_where_there_is_no_fork(monkeypatch):
    """On Windows ``os`` has no ``register_at_fork``."""
    import importlib.util

    monkeypatch.delattr(os, "register_at_fork", raising=False)
    for name in ("wagtail_vector_index.handlers", "wagtail_vector_index.plugins.discovery"):
        spec = importlib.util.find_spec(name)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
