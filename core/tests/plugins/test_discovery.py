"""Plugins are found, guarded and cached; one that is broken takes nothing down."""

import builtins
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.apps import apps

import tests
from tests.fake_distributions import EMPTY_PLUGIN, PLUGIN, offering
from wagtail_vector_index.plugins import BackendSpec, discovery, django_apps, scanning
from wagtail_vector_index.plugins.discovery import registry
from wagtail_vector_index.plugins.problems import problems

ROOT = Path(tests.__file__).parent.parent
HEAVY = (
    "fastembed",
    "onnxruntime",
    "numpy",
    "openai",
    "wordllama",
    "qdrant_client",
    "weaviate",
    "psycopg",
)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def names():
    return [plugin.source.name for plugin in registry().plugins]


def only_failure():
    (failure,) = registry().failures
    return str(failure)


class TestFinding:
    def test_a_plugin_with_its_distribution_version_and_backends(self, site):
        spec = 'path="acme.Acme", requires=("acme_client",), summary="Acme\'s own"'
        site.install(
            "acme-vectors",
            {"acme": "acme_plugin"},
            version="2.3",
            acme_plugin=offering("vector", acme=spec),
        )
        (plugin,) = registry().plugins
        assert str(plugin.source) == "plugin 'acme' of acme-vectors 2.3"
        assert plugin.backends["vector"] == {
            "acme": BackendSpec(path="acme.Acme", requires=("acme_client",), summary="Acme's own")
        }
        assert plugin.backends["embedding"] == plugin.backends["chat"] == {}
        assert registry().names("vector") == ["acme"]
        assert registry().failures == ()

    @pytest.mark.parametrize("kind", ["vector", "embedding", "chat", "reranking"])
    def test_each_kind_of_backend(self, site, kind):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=offering(kind, a='path="x.A"'))
        offer = registry().offer_at(kind, "x.A")
        assert offer is not None
        assert [offer] == registry().offers(kind, "a") == registry().offers(kind, "acme:a")
        assert registry().offer_at(kind, "x.B") is None

    def test_plugins_come_in_the_same_order_on_every_machine(self, site):
        site.install("zebra", {"b": "zb", "a": "za"}, zb=EMPTY_PLUGIN, za=EMPTY_PLUGIN)
        site.install("ant", {"c": "antc"}, antc=EMPTY_PLUGIN)
        assert names() == ["c", "a", "b"]

    def test_a_plugin_may_offer_several_backends_in_several_hooks(self, site):
        source = (
            offering("vector", one='path="x.One"', two='path="x.Two"')
            + "\n@hookimpl(specname='vector_backends')\ndef more():\n"
            + "    return {'three': BackendSpec(path='x.Three')}\n"
        )
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert registry().names("vector") == ["one", "three", "two"]

    def test_no_plugins_at_all(self, site):
        assert registry().plugins == registry().failures == registry().disabled == ()
        assert django_apps() == []

    def test_the_first_distribution_on_the_path_hides_others_of_its_name(self, site):
        site.install("acme", {"acme": "acme_old"}, version="1.0", acme_old=EMPTY_PLUGIN)
        site.install("acme", {"acme": "acme_new"}, version="2.0", acme_new=EMPTY_PLUGIN)
        assert [plugin.source.version for plugin in registry().plugins] == ["2.0"]


BROKEN = {
    "import error": ("import no_such_module_of_acme", "No module named 'no_such_module_of_acme'"),
    "syntax error": ("def :", "SyntaxError"),
    "any error": ("raise RuntimeError('first line\\nsecond line')", "first line second line"),
    "exit": ("import sys; sys.exit('going home')", "SystemExit: going home"),
    "error without a message": ("raise KeyError", "KeyError"),
    "no API version": ("", "has no API_VERSION. Add it: the current version is 1."),
    "API version as text": ("API_VERSION = '1'", "API_VERSION must be an int, not '1'"),
    "API version as a bool": ("API_VERSION = True", "API_VERSION must be an int, not True"),
    "raising hook": (
        PLUGIN + "@hookimpl\ndef vector_backends():\n    return 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "unknown hook": (
        PLUGIN + "@hookimpl\ndef vektor_backends():\n    return {}",
        "unknown hook 'vektor_backends' in acme_plugin. Did you mean 'vector_backends'?",
    ),
    "no hook": (
        PLUGIN + "class Hooks:\n    @hookimpl\n    def vector_backends(self):\n        return {}",
        "acme_plugin implements no hook. Write @hookimpl above a function of the module",
    ),
    "unknown argument": (
        PLUGIN + "@hookimpl\ndef index_updated(index, rows):\n    pass",
        "rows",
    ),
    "wrapper": (
        PLUGIN + "@hookimpl(wrapper=True)\ndef documents_prepared():\n    return (yield)",
        "documents_prepared() must not be a wrapper",
    ),
    "old wrapper": (
        PLUGIN + "@hookimpl(hookwrapper=True)\ndef documents_prepared():\n    yield",
        "documents_prepared() must not be a wrapper",
    ),
    "panic": ("class Panic(BaseException): pass\nraise Panic('in Rust')", "Panic: in Rust"),
    "panicking hook": (
        PLUGIN + "@hookimpl\ndef chat_backends():\n    raise BaseException('in Rust')",
        "BaseException: in Rust",
    ),
    "hook without a mark": (
        PLUGIN + "def embedding_backends():\n    return {}",
        "embedding_backends() is not marked as a hook. Write @hookimpl above it.",
    ),
    "asynchronous hook": (
        PLUGIN + "@hookimpl\nasync def index_updated():\n    pass",
        "index_updated() must not be asynchronous: nothing would await it.",
    ),
    "None": (
        PLUGIN + "@hookimpl\ndef vector_backends():\n    pass",
        "vector_backends() must return a dict of name to BackendSpec, not None",
    ),
    "list": (
        PLUGIN + "@hookimpl\ndef vector_backends():\n    return ['acme.Acme']",
        "vector_backends() must return a dict of name to BackendSpec, not ['acme.Acme']",
    ),
    "class": (
        PLUGIN + "@hookimpl\ndef chat_backends():\n    return {'acme': dict}",
        "chat_backends()['acme'] must be a BackendSpec, not <class 'dict'>",
    ),
    "key of another type": (
        PLUGIN + "@hookimpl\ndef embedding_backends():\n    return {7: BackendSpec(path='a.B')}",
        "embedding_backends(): 7 is not a valid name",
    ),
    "empty name": (offering("vector", **{"": 'path="a.B"'}), "'' is not a valid name"),
    "dotted name": (offering("vector", **{"a.b": 'path="a.B"'}), "'a.b' is not a valid name"),
    "name with a colon": (offering("vector", **{"a:b": 'path="a.B"'}), "'a:b' is not a valid name"),
    "requires as text": (
        offering("vector", a='path="a.B", requires="acme"'),
        "BackendSpec.requires must be a tuple of str, not 'acme'",
    ),
    "apps as a list": (
        offering("vector", a='path="a.B", django_apps=["acme"]'),
        "BackendSpec.django_apps must be a tuple of str, not ['acme']",
    ),
    "requires a distribution": (
        offering("vector", a='path="a.B", requires=("acme-client",)'),
        "BackendSpec.requires must name modules, not 'acme-client'",
    ),
    "path of another type": (
        offering("vector", a="path=dict"),
        "BackendSpec.path must be a str, not <class 'dict'>",
    ),
    "path without a dot": (
        offering("vector", a="path='Acme'"),
        "BackendSpec.path must be a dotted path, not 'Acme'",
    ),
    "path with a colon": (
        offering("vector", a="path='acme:Acme'"),
        "BackendSpec.path must be a dotted path, not 'acme:Acme'",
    ),
}


class TestBrokenPlugins:
    @pytest.mark.parametrize(("source", "message"), BROKEN.values(), ids=BROKEN)
    def test_is_kept_as_a_failure_and_harms_no_other(self, site, source, message):
        site.install("acme", {"acme": "acme_plugin"}, version="1.2", acme_plugin=source)
        site.install("good", {"good": "good_plugin"}, good_plugin=EMPTY_PLUGIN)
        assert names() == ["good"]
        assert only_failure().startswith("plugin 'acme' of acme 1.2 is not usable: ")
        assert message in only_failure()
        assert "\n" not in only_failure()

    def test_the_cause_is_kept_with_its_traceback(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin="x = 1\nraise RuntimeError")
        cause = registry().failures[0].cause
        assert isinstance(cause, RuntimeError)
        assert cause.__traceback__ is not None

    @pytest.mark.parametrize(
        ("version", "upgrade"),
        [(0, "Upgrade the plugin."), (2, "Upgrade wagtail-vector-index.")],
    )
    def test_another_api_version_names_both_and_what_to_upgrade(self, site, version, upgrade):
        source = offering("vector", a='path="a.B"').replace("VERSION = 1", f"VERSION = {version}")
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert f"plugin API version {version}, but this" in only_failure()
        assert f"has version 1. {upgrade}" in only_failure()

    def test_a_hook_of_a_newer_release_may_be_optional(self, site):
        source = offering("vector", acme='path="acme.Acme"')
        source += "\n@hookimpl(optionalhook=True)\ndef hook_of_the_future(index): pass\n"
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert names() == ["acme"]

    def test_hooks_of_another_api_version_are_not_even_looked_at(self, site):
        source = "from wagtail_vector_index.plugins import hookimpl\nAPI_VERSION = 2\n"
        source += "@hookimpl\ndef hook_of_the_future(): pass\n"
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert "unknown hook" not in only_failure()
        assert "version 2" in only_failure()

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("", "the entry point must name a module, not ''"),
            ("not a module!", "the entry point must name a module, not 'not a module!'"),
            ("no_such_module_of_acme", "No module named 'no_such_module_of_acme'"),
            ("acme_plugin:missing", "has no attribute 'missing'"),
            ("acme_plugin:BackendSpec", "must name a module, not <class"),
        ],
    )
    def test_entry_points_that_lead_nowhere(self, site, value, message):
        site.install("acme", {"acme": value}, acme_plugin=EMPTY_PLUGIN)
        assert message in only_failure()

    def test_keyboard_interrupt_passes_through(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin="raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            registry()

    def test_a_name_twice_in_one_distribution(self, site):
        text = "[wagtail_vector_index]\nacme = acme_one\nacme = acme_two\n"
        site.install("acme", text, acme_one=EMPTY_PLUGIN, acme_two=EMPTY_PLUGIN)
        assert names() == ["acme", "acme"]

    def test_two_entry_points_to_one_module_offer_its_backends_once(self, site):
        site.install(
            "acme",
            {"new": "acme_plugin", "old": "acme_plugin"},
            acme_plugin=offering("vector", acme='path="acme.Acme"'),
        )
        assert names() == ["new", "old"]
        assert len(registry().offers("vector", "acme")) == 1
        assert list(registry().conflicts()) == []

    def test_a_distribution_that_was_half_removed(self, site):
        site.monkeypatch.setattr(scanning, "entry_points", real_entry_points(site))
        site.install("gone", {"gone": "gone_plugin"}, metadata="", gone_plugin=EMPTY_PLUGIN)
        (plugin,) = registry().plugins
        assert str(plugin.source) == "plugin 'gone' of gone-1.0.dist-info without a version"

    def test_an_entry_point_without_a_distribution(self, site):
        found = [discovery.EntryPoint("acme", "acme_plugin", "wagtail_vector_index")]
        site.install("acme", {}, acme_plugin=EMPTY_PLUGIN)
        site.monkeypatch.setattr(scanning, "entry_points", lambda group: found)
        assert "of an unknown distribution" in str(registry().plugins[0].source)


def real_entry_points(site):
    """Those of the test's own folder, which may have no name to hide them by."""
    from importlib_metadata import entry_points

    def own(group):
        prefix = str(site.folder)
        found = entry_points(group=group)
        return [ep for ep in found if str(ep.dist.locate_file("")).startswith(prefix)]

    return own


class TestUnreadableEntryPoints:
    """One such file makes ``importlib_metadata`` fail for every distribution."""

    BAD = "[wagtail_vector_index]\nacme = acme_plugin\nthis is no entry point\n"

    @pytest.fixture
    def site(self, site, monkeypatch):
        import importlib_metadata as metadata

        def own():
            prefix = str(site.folder)
            found = metadata.distributions()
            return [d for d in found if str(d.locate_file("")).startswith(prefix)]

        monkeypatch.setattr(scanning, "entry_points", metadata.entry_points)
        monkeypatch.setattr(scanning, "distributions", own)
        return site

    def test_of_a_plugin_is_its_failure_alone(self, site):
        site.install("bad", self.BAD, version="0.9", acme_plugin=EMPTY_PLUGIN)
        site.install("good", {"good": "good_plugin"}, good_plugin=EMPTY_PLUGIN)
        assert "good" in names()
        assert only_failure().startswith(
            "plugin 'bad' of bad 0.9 is not usable: ValueError: its entry_points.txt cannot be"
            " read: TypeError"
        )

    def test_that_are_no_text_harm_no_other(self, site):
        site.install("latin", "[console_scripts]\nß = x:y\n".encode("latin-1"), version="0.3")
        site.install("good", {"good": "good_plugin"}, good_plugin=EMPTY_PLUGIN)
        assert names() == ["good"]
        assert only_failure().startswith(
            "plugin 'latin' of latin 0.3 is not usable: ValueError: its entry_points.txt cannot be"
            " read: UnicodeDecodeError"
        )

    def test_can_be_switched_off(self, site):
        site.install("bad", self.BAD, acme_plugin=EMPTY_PLUGIN)
        assert [source.name for source in registry(["bad"]).disabled] == ["bad"]
        assert registry(["bad"]).failures == ()

    def test_of_somebody_else_is_none_of_our_business(self, site):
        site.install("other", "[console_scripts]\nthis is no entry point\n")
        site.install("good", {"good": "good_plugin"}, version="1.0", good_plugin=EMPTY_PLUGIN)
        site.install("Good", {"good": "older_plugin"}, version="0.1", older_plugin=EMPTY_PLUGIN)
        assert names() == ["good"]
        assert registry().failures == ()


class TestNamesThatAreTaken:
    @pytest.fixture
    def site(self, site):
        for name in ("acme_one", "acme.two"):
            module = f"{name.replace('.', '_')}_plugin"
            source = offering("vector", acme=f'path="{module}.Acme"')
            site.install(name, {"acme": module}, **{module: source})
        return site

    def test_both_offers_are_found(self, site):
        ((kind, name, offers),) = registry().conflicts()
        assert (kind, name) == ("vector", "acme")
        assert {o.plugin.source.distribution for o in offers} == {"acme_one", "acme.two"}

    @pytest.mark.parametrize("name", ["acme_one:acme", "Acme-One:acme", "acme__one:acme"])
    def test_the_distribution_tells_them_apart_however_it_is_spelt(self, site, name):
        (offer,) = registry().offers("vector", name)
        assert offer.spec.path == "acme_one_plugin.Acme"

    def test_the_same_name_for_another_kind_is_no_conflict(self, site):
        site.install("chat", {"c": "c_plugin"}, c_plugin=offering("chat", acme='path="c.C"'))
        assert [kind for kind, _, _ in registry().conflicts()] == ["vector"]


class TestHiddenPlugins:
    @pytest.fixture
    def stale(self, site, monkeypatch):
        """The folder of an earlier install, which comes first on the path."""
        site.install("acme", {"acme": "acme_plugin"}, version="2.0", acme_plugin=EMPTY_PLUGIN)
        folder = site.folder / "checkout"
        info = folder / "acme.egg-info"
        info.mkdir(parents=True)
        (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.9\n")
        monkeypatch.syspath_prepend(str(folder))
        return info

    def test_are_named_with_what_hides_them(self, stale):
        (hidden,) = scanning.hidden_plugins()
        assert str(hidden.source) == "plugin 'acme' of acme 2.0"
        assert hidden.hidden_by == str(stale)
        (problem,) = [p for p in problems(registry()) if p.id.endswith("W010")]
        assert f"plugin 'acme' of acme 2.0 is installed, but {stale} hides it" in problem.message

    def test_by_metadata_that_is_no_folder(self, site, monkeypatch):
        from importlib_metadata import Distribution, distributions

        class InMemory(Distribution):
            def read_text(self, filename):
                text = "Metadata-Version: 2.1\nName: acme\nVersion: 1\n"
                return text if filename == "METADATA" else None

            def locate_file(self, path):
                return path

        site.install("acme", {"acme": "acme_plugin"}, version="2.0", acme_plugin=EMPTY_PLUGIN)
        found = [InMemory(), *distributions(name="acme")]
        monkeypatch.setattr(scanning, "distributions", lambda: found)
        (hidden,) = scanning.hidden_plugins()
        assert str(hidden.source) == "plugin 'acme' of acme 2.0"

    def test_none_if_what_comes_first_has_the_plugin_too(self, stale):
        (stale / "entry_points.txt").write_text("[wagtail_vector_index]\nacme = acme_plugin\n")
        assert list(scanning.hidden_plugins()) == []


class TestSwitchingOff:
    @pytest.mark.parametrize("name", ["acme-one:acme", "Acme_One:acme"])
    def test_one_of_two_plugins_of_the_same_name(self, site, name):
        site.install("acme_one", {"acme": "one_plugin"}, one_plugin="1 / 0")
        site.install("acme_two", {"acme": "two_plugin"}, two_plugin=EMPTY_PLUGIN)
        (problem,) = [p for p in problems(registry()) if p.id.endswith("W001")]
        assert "or add 'acme-one:acme' to WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS" in problem.remedy
        found = registry([name])
        assert [plugin.source.distribution for plugin in found.plugins] == ["acme_two"]
        assert [source.distribution for source in found.disabled] == ["acme_one"]

    def test_the_module_is_never_imported(self, site):
        site.install("acme", {"acme": "acme_plugin"}, version="3", acme_plugin="raise SystemExit")
        found = registry(["acme"])
        assert found.plugins == found.failures == ()
        assert [str(source) for source in found.disabled] == ["plugin 'acme' of acme 3"]
        assert "acme_plugin" not in sys.modules

    def test_others_are_not_loaded_twice(self, site):
        source = PLUGIN + "import builtins\nbuiltins.acme_loaded += 1\n"
        site.monkeypatch.setattr("builtins.acme_loaded", 0, raising=False)
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert registry(["x"]).plugins == registry(["y"]).plugins == registry().plugins
        assert builtins.acme_loaded == 1

    @pytest.mark.parametrize("disabled", ["acme", [1], None, 5, [["acme"]]])
    def test_anything_but_a_list_of_names_is_an_error(self, site, disabled):
        with pytest.raises(TypeError):
            registry(disabled)


class TestOneScanAProcess:
    @pytest.fixture
    def scans(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=EMPTY_PLUGIN)
        scans = []
        real = scanning.entry_points

        def counted(group):
            scans.append(group)
            time.sleep(0.05)
            return real(group=group)

        site.monkeypatch.setattr(scanning, "entry_points", counted)
        return scans

    @pytest.mark.once
    def test_nothing_is_scanned_at_import(self):
        code = (
            "import importlib_metadata as m\n"
            "def scan(**kw): raise SystemExit('scanned at import')\n"
            "m.entry_points = m.distributions = scan\n"
            "import wagtail_vector_index.plugins, wagtail_vector_index.handlers\n"
            "print('not scanned')"
        )
        assert run(code).stdout == "not scanned\n"

    def test_whoever_asks(self, scans):
        assert registry() is registry(())
        registry(["other"])
        django_apps()
        assert len(scans) == 1

    def test_many_threads_at_once(self, scans):
        found = []
        threads = [threading.Thread(target=lambda: found.append(registry())) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(scans) == 1
        assert len(set(map(id, found))) == 1

    def test_until_the_cache_is_cleared(self, scans):
        registry()
        discovery.clear_cache()
        registry()
        assert len(scans) == 2

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_fork_in_the_middle_of_a_scan(self, scans):
        scanning = threading.Thread(target=registry)
        scanning.start()
        while not scans:
            time.sleep(0.001)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if [p.source.name for p in registry().plugins] == ["acme"] else 1)
        assert exit_code(pid) == 0
        scanning.join()


def exit_code(pid):
    """Of a child process; it is killed, and the test fails, if it hangs."""
    for _ in range(500):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("The child process hangs.")


class TestDjangoApps:
    def test_each_once_and_in_order(self, site):
        first = offering(
            "vector",
            a='path="x.A", django_apps=("acme.b", "acme.a")',
            b='path="x.B", django_apps=("acme.a",)',
        )
        second = offering("chat", c='path="x.C", django_apps=("acme.b", "acme.apps.C")')
        modules = {f"acme/{name}": "" for name in ("a", "b")}
        modules["acme/apps"] = (
            "from django.apps import AppConfig\nclass C(AppConfig): name = 'acme'"
        )
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=first, **modules)
        site.install("other", {"other": "other_plugin"}, other_plugin=second)
        assert django_apps() == ["acme.b", "acme.a", "acme.apps.C"]
        assert django_apps(disabled=["acme"]) == ["acme.b", "acme.apps.C"]

    @pytest.mark.parametrize("app", ["acme", "acme_plugin.b", "acme.apps.Config", "no.where.C"])
    def test_not_of_a_plugin_that_names_one_that_is_not_there(self, site, app):
        source = offering("vector", a=f'path="x.A", django_apps=("{app}",)')
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=source)
        assert django_apps() == []
        (failure,) = registry().failures
        assert "plugin 'acme' of acme 1.0 is not usable" in str(failure)
        assert f"names the Django app {app!r}, which is not installed." in str(failure)

    def test_not_of_a_broken_plugin(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin="1 / 0")
        assert django_apps() == []

    def test_not_of_a_client_that_is_missing(self, site):
        client = offering(
            "vector",
            a='path="x.A", requires=("client",), django_apps=("client.django",)',
            b='path="x.B"',
        )
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=client)
        assert django_apps() == []
        assert registry().names("vector") == ["a", "b"]
        assert not registry().failures

    @pytest.mark.parametrize(
        "source", ["1 / 0", "raise BaseException('a panic')", "import nothing_of_acme"]
    )
    def test_not_one_that_would_stop_the_site(self, site, source):
        plugin = offering("vector", a='path="x.A", django_apps=("bad_app", "good_app")')
        modules = {"bad_app/__init__": "", "bad_app/apps": source, "good_app/__init__": ""}
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=plugin, **modules)
        assert django_apps() == ["good_app"]
        (problem,) = [p for p in problems(registry()) if p.id.endswith("W011")]
        assert problem.message.startswith(
            "The Django app 'bad_app' of the plugin 'acme' of acme 1.0 cannot be loaded: "
        )

    def test_keyboard_interrupt_passes_through(self, site):
        plugin = offering("vector", a='path="x.A", django_apps=("bad_app",)')
        site.install(
            "acme", {"acme": "p"}, p=plugin, **{"bad_app/__init__": "raise KeyboardInterrupt"}
        )
        with pytest.raises(KeyboardInterrupt):
            django_apps()

    def test_a_lone_name_is_an_error_rather_than_a_list_of_letters(self, site):
        with pytest.raises(TypeError, match="a list of plugin names, not 'pgvector'"):
            django_apps(disabled="pgvector")

    @pytest.mark.parametrize(
        "needed",
        [
            "from django.conf import settings\nsettings.ACME_KEY",
            "from django.contrib.auth.models import User",
        ],
    )
    def test_a_plugin_that_needs_settings_or_models_works_once_there_are_some(self, site, needed):
        site.install("acme", {"acme": "p"}, p=f"{needed}\n{EMPTY_PLUGIN}")
        (site.folder / "site_settings.py").write_text(
            "from wagtail_vector_index.plugins import django_apps\n"
            "INSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes']\n"
            "INSTALLED_APPS += django_apps()\n"
            "ACME_KEY = 'secret'\n"
        )
        code = (
            "import django\n"
            "from wagtail_vector_index.plugins.discovery import registry\n"
            "django.setup()\n"
            "print([str(failure) for failure in registry().failures])"
        )
        folders = [str(site.folder), *map(str, site.folder.glob("*-1.0"))]
        result = run(
            code, DJANGO_SETTINGS_MODULE="site_settings", PYTHONPATH=os.pathsep.join(folders)
        )
        assert result.stdout == "[]\n", (result.stdout, result.stderr)

    def test_a_failure_is_final_once_there_are_models(self, site):
        failing = "import builtins\nbuiltins.acme_tried += 1\nassert builtins.acme_tried > 2\n"
        site.monkeypatch.setattr(builtins, "acme_tried", 0, raising=False)
        site.install("acme", {"acme": "p"}, p=f"{failing}{EMPTY_PLUGIN}")
        with site.monkeypatch.context() as patch:
            patch.setattr(apps, "models_ready", False)
            assert registry() is registry()
            assert builtins.acme_tried == 1
        assert registry() is registry()
        assert builtins.acme_tried == 2
        assert only_failure().startswith("plugin 'acme' of acme 1.0 is not usable: AssertionError")

    def test_needs_no_settings_and_discovery_not_even_django(self):
        code = (
            "import sys\n"
            "from wagtail_vector_index.plugins import django_apps\n"
            "from wagtail_vector_index.plugins.discovery import registry\n"
            "assert registry().plugins\n"
            "assert 'django' not in sys.modules, 'django'\n"
            "assert isinstance(django_apps(), list)\n"
            "print('fine')"
        )
        result = run(code, DJANGO_SETTINGS_MODULE="")
        assert result.stdout == "fine\n", result.stderr


@pytest.mark.once
def test_nothing_heavy_is_imported_by_discovery_nor_by_setting_up_django():
    code = (
        "import sys, django\n"
        "from django.conf import settings\n"
        f"def heavy(): return [name for name in {HEAVY} if name in sys.modules]\n"
        "from wagtail_vector_index.plugins.calling import active_registry\n"
        "from wagtail_vector_index.plugins import handlers\n"
        "found = active_registry()\n"
        "assert found.plugins, 'no plugins installed'\n"
        "assert not found.failures, found.failures\n"
        "print(heavy())\n"
        "django.setup()\n"
        "for handler in handlers.HANDLERS: list(handler)\n"
        # Wagtail brings Django REST framework, and that imports psycopg if it can.
        "print([name for name in heavy() if name != 'psycopg'])"
    )
    result = run(code, DJANGO_SETTINGS_MODULE="tests.settings")
    assert result.stdout == "[]\n[]\n", result.stderr
