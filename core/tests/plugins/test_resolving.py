"""From a name to a class, or to an error that says what to do."""

import sys

import pytest
from django.test import override_settings

from tests.fake_distributions import BACKEND, EMPTY_PLUGIN, offering
from wagtail_vector_index.exceptions import (
    AppNotInstalled,
    BackendNameConflict,
    ClientNotInstalled,
    ConfigurationError,
    PluginBroken,
    PluginNotInstalled,
    UnknownBackend,
)
from wagtail_vector_index.plugins.discovery import registry
from wagtail_vector_index.plugins.resolving import KNOWN_BACKENDS, Resolver

WHERE = "SETTING['default']['BACKEND']"
PATH = 'path="acme_backend.AcmeBackend"'


def resolve(name, kind="vector", disabled=(), configured=("default", "archive")):
    return Resolver(
        registry=registry(disabled), kind=kind, name=name, where=WHERE, configured=configured
    )


def error(expected, name, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        resolve(name, **arguments).backend_class()
    assert type(caught.value) is expected
    assert str(caught.value).startswith(f"{WHERE}: ")
    return caught.value


@pytest.mark.parametrize(
    "key",
    ["sk-proj-4fGh7Jk9Lm2Np5Qr", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.4Fk9Zq1Lm2Np5Qr8St0Uv"],
)
def test_a_key_in_place_of_a_name_is_not_shown(site, key):
    resolver = resolve(key)
    with pytest.raises(ConfigurationError) as raised:
        resolver.backend_class()
    assert "4" not in str(raised.value)
    assert "eyJ" not in str(raised.value)
    assert key not in repr(resolver)  # error pages show the reprs of variables


@pytest.fixture
def acme(site):
    """An installed plugin with a backend that works."""

    def install(name="acme", spec=PATH, plugin=None, backend=BACKEND, **options):
        options |= {
            f"{name.replace('-', '_')}_plugin": plugin or offering("vector", acme=spec),
            "acme_backend": backend,
        }
        site.install(name, {"acme": f"{name.replace('-', '_')}_plugin"}, **options)
        return site

    return install


class TestFinding:
    @pytest.mark.parametrize("name", ["acme", "acme:acme", "acme_backend.AcmeBackend"])
    def test_by_short_name_distribution_and_path(self, acme, name):
        acme()
        resolver = resolve(name)
        assert resolver.path == "acme_backend.AcmeBackend"
        resolver.check_installed()
        assert "acme_backend" not in sys.modules
        assert resolver.backend_class().__name__ == "AcmeBackend"

    def test_a_path_needs_no_plugin(self, site):
        site.install("plain", {}, plain_backend=BACKEND)
        assert resolve("plain_backend.AcmeBackend").backend_class().__name__ == "AcmeBackend"

    def test_a_path_has_the_requirements_of_its_plugin(self, acme):
        acme(spec=f'{PATH}, requires=("no_such_client",)')
        error(ClientNotInstalled, "acme_backend.AcmeBackend")


class TestPluginNotInstalled:
    @pytest.mark.parametrize(
        ("kind", "name"),
        [(kind, name) for kind in KNOWN_BACKENDS for name in sorted(KNOWN_BACKENDS[kind])],
    )
    def test_says_the_pip_command(self, site, kind, name):
        message = str(error(PluginNotInstalled, name, kind=kind))
        assert f'Run: pip install "wagtail-vector-index[{name}]"' in message

    @pytest.mark.parametrize(
        "path", ["backends.qdrant.QdrantBackend", "backends.qdrant.backend.Whatever"]
    )
    def test_by_its_documented_path(self, site, path):
        site.monkeypatch.setitem(sys.modules, "wagtail_vector_index.backends.qdrant", None)
        message = str(error(PluginNotInstalled, f"wagtail_vector_index.{path}"))
        assert 'Run: pip install "wagtail-vector-index[qdrant]"' in message

    @pytest.mark.parametrize("path", ["no_such_package.Backend", ".Backend", "no_such.a.Backend"])
    def test_a_path_into_nowhere(self, site, path):
        message = str(error(PluginNotInstalled, path))
        assert "there is no module" in message
        assert "correct the path" in message


class TestClientNotInstalled:
    def test_says_what_is_missing_and_reinstalls_the_distribution(self, acme):
        acme(spec=f'{PATH}, requires=("json", "no_such_client", "json.no_such", "nope.sub")')
        message = str(error(ClientNotInstalled, "acme"))
        assert "of acme 1.0 needs no_such_client, json.no_such and nope.sub" in message
        assert message.endswith("Run: pip install acme")
        assert "acme_backend" not in sys.modules

    def test_says_what_the_plugin_says(self, acme):
        acme(spec=f'{PATH}, requires=("no_such_client",), install="acme[client]"')
        assert str(error(ClientNotInstalled, "acme")).endswith('Run: pip install "acme[client]"')

    def test_of_our_own_plugin_says_the_extra(self, acme):
        acme("wagtail-vector-index-qdrant", spec=f'{PATH}, requires=("no_such_client",)')
        message = str(error(ClientNotInstalled, "acme"))
        assert message.endswith('Run: pip install "wagtail-vector-index[qdrant]"')

    def test_a_module_that_is_already_there_counts(self, acme, monkeypatch):
        monkeypatch.setitem(sys.modules, "made_up_client", type(sys)("made_up_client"))
        acme(spec=f'{PATH}, requires=("made_up_client",)')
        assert resolve("acme").backend_class()

    @pytest.mark.parametrize("source", ["raise RuntimeError('inside')", "raise SystemExit(3)"])
    def test_a_client_that_is_broken_is_not_a_client_that_is_missing(self, acme, source):
        acme(
            spec=f'{PATH}, requires=("sick_client.sub",)',
            backend=f"import sick_client.sub\n{BACKEND}",
            **{"sick_client/__init__": source},
        )
        broken = error(PluginBroken, "acme")
        assert isinstance(broken.__cause__, (RuntimeError, SystemExit))


class TestPluginBroken:
    @pytest.mark.parametrize(
        ("source", "cause"),
        [
            ("raise RuntimeError('the reason')", RuntimeError),
            ("import no_such_module", ImportError),
            ("x = ", SyntaxError),
            ("raise SystemExit('bye')", SystemExit),
            ("", AttributeError),
        ],
    )
    def test_shows_and_chains_the_cause(self, acme, source, cause):
        acme(backend=source)
        broken = error(PluginBroken, "acme")
        assert isinstance(broken.__cause__, cause)
        assert "acme_backend.AcmeBackend of acme cannot be imported: " in str(broken)
        assert type(broken.__cause__).__name__ in str(broken)
        assert str(broken.__cause__) in str(broken)

    def test_a_wrong_name_in_a_path(self, acme):
        acme()
        message = str(error(PluginBroken, "acme_backend.AcmeBakend"))
        assert "has no attribute 'AcmeBakend'" in message
        assert message.endswith(
            " Check the path. Did you mean 'acme_backend.AcmeBackend' or the short name 'acme'?"
        )

    @pytest.mark.parametrize("name", ["acme", "acme:acme"])
    def test_a_plugin_that_failed_is_the_cause(self, acme, name):
        acme(plugin="raise RuntimeError('the reason')")
        broken = error(PluginBroken, name)
        assert "plugin 'acme' of acme 1.0 is not usable: RuntimeError: the reason" in str(broken)
        assert isinstance(broken.__cause__, RuntimeError)

    def test_a_backend_of_another_name_than_its_plugin_names_the_failures(self, acme):
        acme(plugin="raise RuntimeError('the reason')")
        message = str(error(UnknownBackend, "acme-hnsw"))
        assert "plugin 'acme' of acme 1.0 is not usable: RuntimeError: the reason." in message

    def test_every_sentence_ends_with_one_full_stop(self, acme):
        acme(plugin="raise RuntimeError('The reason.')")
        assert str(error(UnknownBackend, "acne")).endswith("RuntimeError: The reason.")
        message = str(error(PluginBroken, "acme_backend.No"))
        assert "has no attribute 'No'. Check the path." in message


class TestAppNotInstalled:
    def test_says_what_to_add(self, acme):
        acme(spec=f'{PATH}, django_apps=("django.contrib.flatpages", "wagtail_vector_index")')
        message = str(error(AppNotInstalled, "acme"))
        assert "needs django.contrib.flatpages in INSTALLED_APPS" in message
        assert "*wagtail_vector_index.plugins.django_apps()" in message

    @pytest.mark.parametrize(
        "app", ["wagtail_vector_index", "wagtail_vector_index.apps.VectorIndexConfig"]
    )
    def test_by_name_or_by_config(self, acme, app):
        acme(spec=f'{PATH}, django_apps=("{app}",)')
        assert resolve("acme").backend_class()

    def test_two_of_them(self, acme):
        apps = "django.contrib.flatpages", "django.contrib.redirects"
        acme(spec=f"{PATH}, django_apps={apps}")
        assert f"needs {' and '.join(apps)} in" in str(error(AppNotInstalled, "acme"))


class TestUnknownBackend:
    def test_lists_what_there_is(self, acme):
        acme()
        message = str(error(UnknownBackend, "nonsense"))
        assert "no installed plugin offers a vector backend named 'nonsense'." in message
        assert "Installed vector backends: acme." in message
        assert "Configured aliases: default, archive." in message
        assert 'pip install "wagtail-vector-index[qdrant]"' in message
        assert "Did you mean" not in message

    def test_nothing_installed(self, site):
        message = str(error(UnknownBackend, "nonsense", configured=()))
        assert "Installed vector backends: none. Configured aliases: none." in message

    @pytest.mark.parametrize(
        ("name", "close"),
        [
            ("acne", "acme"),
            ("qdrnt", "qdrant"),
            ("wagtail-vector-index[qdrant]", "qdrant"),
            ("acme_backend:AcmeBackend", "acme_backend.AcmeBackend"),
        ],
    )
    def test_the_close_match_among_installed_and_known(self, acme, name, close):
        acme()
        assert f"Did you mean {close!r}" in str(error(UnknownBackend, name))

    def test_a_path_into_nowhere_is_close_to_an_installed_one(self, acme):
        acme()
        message = str(error(PluginNotInstalled, "acme_bakend.AcmeBackend"))
        assert message.endswith(
            " Did you mean 'acme_backend.AcmeBackend' or the short name 'acme'?"
        )

    def test_a_distribution_means_its_backend(self, acme):
        acme("acme-vectors-for-wagtail")
        message = str(error(UnknownBackend, "acme_vectors_for_wagtail"))
        assert "Did you mean 'acme'?" in message

    def test_everything_known_is_installed(self, site):
        specs = dict.fromkeys(KNOWN_BACKENDS["vector"], 'path="a.B"')
        site.install("all", {"all": "all_plugin"}, all_plugin=offering("vector", **specs))
        assert "Others that you can install" not in str(error(UnknownBackend, "nonsense"))

    def test_a_distribution_that_does_not_offer_it(self, acme):
        acme()
        assert "Installed vector backends: acme." in str(error(UnknownBackend, "other:acme"))

    @pytest.mark.parametrize("name", ["acme", "acme:acme"])
    def test_a_plugin_that_is_disabled(self, acme, name):
        acme().install("aa-other", {"other": "other_plugin"}, other_plugin=EMPTY_PLUGIN)
        message = str(error(UnknownBackend, name, disabled=["other", "acme"]))
        assert "plugin 'acme' of acme 1.0 is disabled by" in message
        assert "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS. Remove the name" in message

    def test_plugins_of_one_name_that_are_disabled(self, acme):
        acme().install("other", {"acme": "other_plugin"}, other_plugin=EMPTY_PLUGIN)
        message = str(error(UnknownBackend, "acme", disabled=["acme"]))
        assert "the plugin 'acme' of acme 1.0 and the plugin 'acme' of other 1.0 are" in message


class TestTheOtherKind:
    def test_that_is_installed(self, site):
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=offering("chat", acme=PATH))
        message = str(error(UnknownBackend, "acme", kind="embedding"))
        assert "'acme' is a chat backend, not an embedding one (it is offered by acme)." in message
        assert "Configure it in WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS" in message
        assert "name an embedding backend here" in message

    def test_that_is_known_but_not_installed(self, site):
        message = str(error(UnknownBackend, "openai"))
        assert "'openai' is an embedding backend, not a vector one" in message
        assert 'to install it, run: pip install "wagtail-vector-index[openai]"' in message
        assert "Installed vector backends: none." in message

    def test_of_this_kind_comes_first(self, acme, site):
        site.install("o", {"openai": "o_plugin"}, o_plugin=offering("vector", openai=PATH))
        acme()
        assert resolve("openai").backend_class().__name__ == "AcmeBackend"


class TestConflict:
    @pytest.fixture
    def site(self, site):
        for name in ("acme-one", "acme-two"):
            module = name.replace("-", "_")
            site.install(
                name,
                {"acme": f"{module}_plugin"},
                version="1.5",
                **{
                    f"{module}_plugin": offering("vector", acme=f'path="{module}.AcmeBackend"'),
                    module: BACKEND,
                },
            )
        return site

    def test_names_both_and_how_to_choose(self, site):
        message = str(error(BackendNameConflict, "acme"))
        assert "acme-one 1.5 and acme-two 1.5 both offer a vector backend named 'acme'" in message
        assert "\"BACKEND\": 'acme-one:acme' or 'acme-two:acme'" in message

    @pytest.mark.parametrize("name", ["acme-two:acme", "Acme_Two:acme", "acme_two.AcmeBackend"])
    def test_is_resolved_by_distribution_or_path(self, site, name):
        assert resolve(name).backend_class().__module__ == "acme_two"

    @pytest.mark.parametrize("name", ["acme-one:acme", "acme-one.more:acme"])
    def test_within_one_distribution_only_paths_help(self, site, name):
        site.install(
            "acme-one.more",
            {"a": "more_a", "b": "more_b"},
            more_a=offering("vector", acme='path="acme_one.AcmeBackend"'),
            more_b=offering("vector", acme='path="acme_two.AcmeBackend"'),
        )
        if name == "acme-one:acme":
            assert resolve(name).backend_class().__module__ == "acme_one"
        else:
            message = str(error(BackendNameConflict, name))
            assert "'acme_one.AcmeBackend' or 'acme_two.AcmeBackend'" in message


def test_a_plugin_module_imports_nothing_of_its_backend(site):
    site.install("acme", {"acme": "acme_plugin"}, acme_plugin=EMPTY_PLUGIN)
    assert [plugin.source.name for plugin in registry().plugins] == ["acme"]


@override_settings(WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS=["acme"])
def test_a_resolver_does_not_read_settings(acme):
    acme()
    assert resolve("acme").backend_class()


def test_a_django_app_that_cannot_be_loaded(site):
    spec = f'{PATH}, django_apps=("bad_app",)'
    modules = {"bad_app/__init__": "", "bad_app/apps": "1 / 0", "acme_backend": BACKEND}
    plugin = offering("vector", acme=spec)
    site.install("acme", {"acme": "acme_plugin"}, acme_plugin=plugin, **modules)
    assert "the Django app 'bad_app' of acme 1.0 cannot be loaded: ZeroDivisionError" in str(
        error(PluginBroken, "acme")
    )


@pytest.mark.parametrize(
    ("spec", "module"),
    [(PATH, "acme_backend"), (f'{PATH}, requires=("client.part",)', "client/__init__")],
)
def test_keyboard_interrupt_passes_through(site, spec, module):
    plugin = offering("vector", acme=spec)
    site.install("acme", {"acme": "p"}, p=plugin, **{module: "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        resolve("acme").backend_class()
