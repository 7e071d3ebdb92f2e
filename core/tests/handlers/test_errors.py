"""All that is wrong with settings and plugins is an error that says what to do."""

import pytest

from tests.fake_distributions import BACKEND, offering
from tests.setting_errors import EMBEDDING, VECTOR, error
from wagtail_vector_index.exceptions import (
    ClientNotInstalled,
    ConfigurationError,
    InvalidOptions,
    PluginBroken,
    PluginNotInstalled,
    UnknownAlias,
    UnknownBackend,
)
from wagtail_vector_index.handlers import embedding_backends, vector_backends

CIRCULATING = {"default": {"BACKEND": "openai", "API_KEY": "abc123", "HOST": "https://example.com"}}


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
        assert (
            str(broken) == f"{VECTOR}['default']: AcmeBackend cannot be created: OSError: no disk"
        )
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
        ("line", "says"),
        [
            ("self.max_batch_texts = 0", "max_batch_texts must be an int of at least 1, not 0."),
            ("self.max_batch_texts = None", "max_batch_texts must be an int of at least 1, not"),
            (
                "self.max_batch_tokens = '10'",
                "max_batch_tokens must be an int of at least 1, not '",
            ),
            ("self.concurrency = 0", "concurrency must be an int of at least 1, not 0."),
            ("self.vector_weight = 7", "vector_weight must be a number from 0 to 1, not 7."),
        ],
    )
    def test_a_wrong_number_that_an_instance_states(self, site, configure, line, says):
        """With such numbers, texts were left out without an error."""
        source = f"""
            from tests.testapp.embeddings import WordEmbeddings

            class AcmeEmbeddings(WordEmbeddings):
                def __init__(self, alias, options):
                    super().__init__(alias, options)
                    {line}
        """
        site.install("plain", {}, acme_embeddings=source)
        configure(EMBEDDING, default={"BACKEND": "acme_embeddings.AcmeEmbeddings"})
        message = str(error(PluginBroken, embedding_backends))
        assert message.startswith(f"{EMBEDDING}['default']: AcmeEmbeddings.{says}")

    def test_a_number_of_records_that_an_instance_states(self, acme, configure):
        source = "\n    def __init__(self, *args):\n        super().__init__(*args)\n"
        acme(backend=f"{BACKEND}{source}        self.max_batch_records = -1\n")
        configure(default={"BACKEND": "acme"})
        assert "AcmeBackend.max_batch_records must be an int of at least 1, not -1." in str(
            error(PluginBroken)
        )

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
                "cannot be created: TypeError: Can't instantiate abstract class",
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

    @pytest.mark.parametrize("alias", [1, None, ("default",)])
    def test_an_alias_is_no_text(self, settings, alias):
        setattr(settings, VECTOR, {"default": {"BACKEND": "numpy"}, alias: {"BACKEND": "numpy"}})
        assert str(error(ConfigurationError)) == (
            f'{VECTOR}: the alias {alias!r} must be a text, such as "default".'
        )

    def test_backend_is_missing(self, configure):
        configure(default={"HOST": "x"})
        message = str(error(InvalidOptions))
        assert message.startswith(
            f"{VECTOR}['default']: 'BACKEND' is missing. Set it to the short name"
        )
        assert "of a vector backend" in message

    @pytest.mark.parametrize("key", ["backend", "BACKENDS", "Backend"])
    def test_backend_is_written_otherwise(self, configure, key):
        configure(default={key: "numpy"})
        assert f"'BACKEND' is missing. Did you mean 'BACKEND' instead of {key!r}?" in str(
            error(InvalidOptions)
        )

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
        assert f"Configure it in {EMBEDDING}, and name a vector backend here." in message
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
