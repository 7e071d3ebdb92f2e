"""Backends by alias: one a process, made when asked for, and closed."""

import asyncio
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import override_settings

from tests.fake_distributions import BACKEND, offering
from tests.setting_errors import CHAT, EMBEDDING, VECTOR, error
from wagtail_vector_index.exceptions import (
    BackendNameConflict,
    PluginBroken,
    UnknownAlias,
    UnknownBackend,
)
from wagtail_vector_index.handlers import (
    chat_backends,
    embedding_backends,
    reranking_backends,
    vector_backends,
)
from wagtail_vector_index.plugins import handlers


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

    def test_without_numpy_the_error_names_the_only_installed_backend(self, settings, site):
        delattr(settings, VECTOR)
        site.hide()
        source = offering("vector", pgvector='path="p.P"')
        site.install("wagtail-vector-index-pgvector", {"pgvector": "p_plugin"}, p_plugin=source)
        message = str(error(UnknownAlias))
        assert f'Configure it: {VECTOR} = {{\'default\': {{"BACKEND": "pgvector"}}}}' in message
        assert 'or run: pip install "wagtail-vector-index[numpy]"' in message

    def test_a_default_that_is_disabled_is_not_asked_to_be_installed(self, settings):
        delattr(settings, VECTOR)
        settings.WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS = ["numpy"]
        message = str(error(UnknownAlias))
        assert "or remove 'numpy' from WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS." in message
        assert "pip" not in message

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

    def test_there_is_no_default_for_chat_and_reranking(self):
        assert list(chat_backends) == []
        assert "default" not in chat_backends
        assert list(reranking_backends) == []
        message = str(error(UnknownAlias, chat_backends))
        assert message.endswith(
            f'No alias is configured. Add one: {CHAT} = {{\'default\': {{"BACKEND": "openai"}}}}'
        )

    def test_without_any_backend_of_a_kind_the_hint_says_what_to_install(self, site):
        site.hide()
        message = str(error(UnknownAlias, chat_backends))
        assert 'To install a backend, run: pip install "wagtail-vector-index[openai]"' in message

    @pytest.mark.parametrize("handler", [vector_backends, embedding_backends])
    def test_an_empty_setting_means_none(self, settings, handler):
        setattr(settings, handler.setting, {})
        assert list(handler) == []
        message = str(error(UnknownAlias, handler))
        assert "pip install" not in message
        assert f"Add one: {handler.setting} = " in message


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
        assert handlers._inherited.pop(-len(handlers.HANDLERS)) == {"default": parents}

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
            assert "is disabled by" in str(error(UnknownBackend))


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
    for name in ("wagtail_vector_index.plugins.handlers", "wagtail_vector_index.plugins.discovery"):
        spec = importlib.util.find_spec(name)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)


@pytest.mark.parametrize("method", ["__init__", "close"])
def test_keyboard_interrupt_passes_through(acme, configure, method):
    acme(BACKEND + f"\n    def {method}(self, *arguments):\n        raise KeyboardInterrupt\n")
    configure(default={"BACKEND": "acme"})
    with pytest.raises(KeyboardInterrupt):
        _use_and_close()
    vector_backends.reset()


def _use_and_close():
    assert vector_backends["default"]
    vector_backends.close_all()
