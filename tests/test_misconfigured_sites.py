"""Tests of ``manage.py check`` on misconfigured sites: each message says what to do."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.core.management import call_command
from django.core.management.base import SystemCheckError

import tests
from tests.fake_distributions import make_site, offering
from wagtail_vector_index.indexes.registry import autodiscover

ROOT = Path(tests.__file__).parent.parent
VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
EMBEDDING = "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"
DISABLED = "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS"

MODELS = """
from django.db import models
from wagtail_vector_index.models import EmbeddingField, FilterField, VectorIndexedMixin

class Book(VectorIndexedMixin, models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey("shop.Author", on_delete=models.CASCADE)
    embedding_fields = [EmbeddingField("title")]
    vector_filter_fields = []

    def get_shelf(self):
        return "history"

class Author(models.Model):
    name = models.CharField(max_length=100)
"""
TITLE = '[EmbeddingField("title")]'
NO_FILTERS = "vector_filter_fields = []"

INDEX = """
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.models import EmbeddingField, FilterField
from .models import Book

class BookIndex(VectorIndex):
    querysets = [Book.objects.all()]
"""


@dataclass(kw_only=True)
class MisconfiguredSite:
    """What is wrong with a site, and what must be said about it."""

    settings: dict[str, Any] = field(default_factory=dict)
    models: str = MODELS
    indexes: str = INDEX
    #: The plugins that are installed beside our own, with their sources; None: no plugin at all.
    plugins: dict[str, str] | None = field(default_factory=dict)
    says: tuple[str, ...]
    never_says: tuple[str, ...] = ()
    #: A warning lets ``check`` succeed.
    fails: bool = True


#: As a setting: it is not there.
MISSING = object()
EXAMPLE = {"BACKEND": "openai", "API_KEY": "abc123", "HOST": "https://example.com"}


def vector(**backend):
    return {VECTOR: {"default": backend}}


def embedding(**backend):
    return {EMBEDDING: {"default": backend}}


#: One that nobody installed here.
APP = "django.contrib.flatpages"

SITES = {
    "a typo in the name of a backend": MisconfiguredSite(
        settings=vector(BACKEND="nunpy"),
        says=(
            f"{VECTOR}['default']['BACKEND']: no installed plugin offers a vector backend",
            "Did you mean 'numpy'?",
            "Configured aliases: default.",
        ),
    ),
    "openai as a vector backend": MisconfiguredSite(
        settings=vector(**EXAMPLE),
        says=("'openai' is an embedding backend, not a vector one", f"Configure it in {EMBEDDING}"),
        never_says=("abc123",),
    ),
    "openai as a vector backend, without any plugin": MisconfiguredSite(
        settings=vector(**EXAMPLE),
        plugins=None,
        says=(
            "'openai' is an embedding backend, not a vector one",
            'to install it, run: pip install "wagtail-vector-index[openai]"',
        ),
        never_says=("abc123",),
    ),
    "a plugin that is not installed": MisconfiguredSite(
        settings=vector(BACKEND="qdrant", HOST="x"),
        plugins=None,
        says=(
            "the plugin for 'qdrant' is not installed.",
            'Run: pip install "wagtail-vector-index[qdrant]"',
        ),
    ),
    "a client that is not installed": MisconfiguredSite(
        settings=vector(BACKEND="acme"),
        plugins={"acme": offering("vector", acme='path="a.B", requires=("no_such_client",)')},
        says=("the backend 'acme' of acme 1.0 needs no_such_client", "Run: pip install acme"),
    ),
    "a plugin that is broken": MisconfiguredSite(
        settings=vector(BACKEND="acme"),
        plugins={"acme": "raise RuntimeError('the reason')"},
        says=(
            f"{VECTOR}['default']['BACKEND']: plugin 'acme' of acme 1.0 is not usable: ",
            "RuntimeError: the reason",
            f"HINT: Upgrade or uninstall acme, or add 'acme' to {DISABLED}.",
        ),
    ),
    "a plugin that is broken, and that nothing uses": MisconfiguredSite(
        plugins={"acme": "import sys\nsys.exit(1)"},
        says=("W001) The plugin 'acme' of acme 1.0 is not usable: SystemExit: 1",),
        fails=False,
    ),
    "a plugin for another version": MisconfiguredSite(
        plugins={"acme": "API_VERSION = 2"},
        says=("plugin API version 2", "has version 1. Upgrade wagtail-vector-index."),
        fails=False,
    ),
    "a Django app that is missing": MisconfiguredSite(
        settings=vector(BACKEND="acme"),
        plugins={"acme": offering("vector", acme=f'path="a.B", django_apps=("{APP}",)')},
        says=(f"needs {APP} in INSTALLED_APPS. Add it",),
    ),
    "BACKEND is missing": MisconfiguredSite(
        settings=vector(Backend="numpy"),
        says=(
            f"{VECTOR}['default']: 'BACKEND' is missing.",
            "is missing. Did you mean 'BACKEND' instead of 'Backend'?",
        ),
    ),
    "settings of release 0.10": MisconfiguredSite(
        settings={
            "WAGTAIL_VECTOR_INDEX": {"EMBEDDING_BACKENDS": {}},
            "WAGTAIL_VECTOR_INDEX_STORAGE_PROVIDERS": {"default": {"STORAGE_PROVIDER": "x"}},
        },
        says=(
            "WAGTAIL_VECTOR_INDEX is a setting of wagtail-vector-index 0.10 or older",
            f"HINT: Remove it and use {EMBEDDING} and ",
            "WAGTAIL_VECTOR_INDEX_STORAGE_PROVIDERS is a setting of",
            f"HINT: Remove it and use {VECTOR}.",
        ),
        fails=False,
    ),
    "the setting is no dict": MisconfiguredSite(
        settings={VECTOR: "numpy"},
        says=(f'{VECTOR} must be a dict such as {{"default": {{"BACKEND": "…"}}}}, not str.',),
    ),
    "an alias is no dict": MisconfiguredSite(
        settings={VECTOR: {"default": "numpy"}},
        says=(f'{VECTOR}[\'default\'] must be a dict such as {{"BACKEND": "…"}}, not str.',),
    ),
    "an unknown key": MisconfiguredSite(
        settings=embedding(BACKEND="openai", MODLE="x"),
        says=(
            f"{EMBEDDING}['default']: unknown key 'MODLE'. Did you mean 'MODEL'?",
            "Allowed: API_KEY, API_VERSION, BACKEND, ",
        ),
    ),
    "a key that is missing": MisconfiguredSite(
        settings=embedding(BACKEND="openai", API_KEY="abc123"),
        says=(f"{EMBEDDING}['default']: 'MODEL' is missing.",),
        never_says=("abc123",),
    ),
    "a value of the wrong type": MisconfiguredSite(
        settings=embedding(BACKEND="openai", MODEL="m", API_KEY=["abc123"], TIMEOUT=1),
        says=(f"{EMBEDDING}['default']: 'API_KEY' must be of type str, not list.",),
        never_says=("abc123",),
    ),
    "a backend of the wrong kind, by its path": MisconfiguredSite(
        settings=vector(BACKEND="tests.testapp.embeddings.WordEmbeddings"),
        says=(f"It is an embedding backend: see {EMBEDDING}.",),
    ),
    "a module instead of a class": MisconfiguredSite(
        settings=vector(BACKEND="wagtail_vector_index.backends.numpy"),
        says=(
            "It is a module. Name its class:",
            "wagtail_vector_index.backends.numpy.NumpyBackend.",
        ),
    ),
    "a path into nowhere": MisconfiguredSite(
        settings=vector(BACKEND="acme_vectors.AcmeBackend"),
        says=("there is no module 'acme_vectors'", "or correct the path."),
    ),
    "no embedding backend": MisconfiguredSite(
        settings={EMBEDDING: MISSING},
        plugins=None,
        says=(
            f"shop.BookIndex uses {EMBEDDING}['default'], which is not configured.",
            'or run: pip install "wagtail-vector-index[wordllama]"',
        ),
    ),
    "an alias that is not configured": MisconfiguredSite(
        indexes=f'{INDEX}\n    vector_backend = "archive"\n',
        says=(
            f"shop.BookIndex uses {VECTOR}['archive'], which is not configured.",
            "HINT: Configured: 'default'.",
        ),
    ),
    "an alias that is not configured, under a base class with the content": MisconfiguredSite(
        indexes=INDEX.replace(
            "querysets = [Book.objects.all()]",
            "def get_querysets(self):\n        return [Book.objects.all()]\n\n"
            "class ArchiveIndex(BookIndex):\n    vector_backend = 'archive'\n",
        ),
        says=(f"shop.ArchiveIndex uses {VECTOR}['archive'], which is not configured.",),
    ),
    "an embedding field that doesn't exist": MisconfiguredSite(
        models=MODELS.replace(TITLE, '[EmbeddingField("titel")]'),
        says=("shop.Book has no field, attribute or method 'titel'. Did you mean 'title'?",),
    ),
    "an embedding field that doesn't exist, at the end of a path": MisconfiguredSite(
        models=MODELS.replace(TITLE, '[EmbeddingField("author__nmae")]'),
        says=("shop.Author has no field, attribute or method 'nmae'. Did you mean 'name'?",),
    ),
    "an embedding field that is only known to queries": MisconfiguredSite(
        models=f'{MODELS}    embedding_fields = [EmbeddingField("book")]\n',
        indexes=INDEX.replace("Book.objects", "Author.objects").replace("Book\n", "Author\n"),
        says=("shop.Author has no field, attribute or method 'book'.",),
    ),
    "a filter field of two types": MisconfiguredSite(
        models=MODELS.replace(NO_FILTERS, 'vector_filter_fields = ["author"]'),
        indexes=INDEX.replace("Book\n", "Author, Book\n").replace(
            "[Book.objects.all()]",
            "[Book.objects.all(), Author.objects.all()]\n"
            "    embedding_fields = [EmbeddingField('name')]\n"
            "    filter_fields = [FilterField('author', source='name')]",
        ),
        says=(
            "the filter field 'author' is of type str on shop.Author and int elsewhere.",
            "Give one of them another name: FilterField('…', source='name').",
        ),
    ),
    "an embedding field that is only a name": MisconfiguredSite(
        models=MODELS.replace(TITLE, '["title"]'),
        says=("holds 'title', which is not an EmbeddingField",),
    ),
    "one embedding field instead of a list": MisconfiguredSite(
        models=MODELS.replace(TITLE, 'EmbeddingField("title")'),
        says=("embedding_fields of shop.Book must be a list",),
    ),
    "nothing to embed": MisconfiguredSite(
        models=MODELS.replace(TITLE, "[]"),
        says=("shop.Book has no fields to embed. Add embedding_fields =",),
    ),
    "a filter field of unknown type": MisconfiguredSite(
        models=MODELS.replace(NO_FILTERS, 'vector_filter_fields = ["get_shelf"]'),
        says=("type of the filter field 'get_shelf' of shop.Book is not known", "type='str'"),
    ),
    "a filter field that core has itself": MisconfiguredSite(
        models=MODELS.replace(
            NO_FILTERS, 'vector_filter_fields = ["model"]\n    model = models.TextField()'
        ),
        says=("every index has its own filter field 'model'. Choose another name",),
    ),
    "a filter field with an impossible name": MisconfiguredSite(
        models=MODELS.replace(NO_FILTERS, 'vector_filter_fields = ["author__name"]'),
        says=(
            "'author__name' is not a name of a filter field",
            "Pass the path as source: FilterField('author_name', source='author__name').",
        ),
    ),
    "two indexes of one name": MisconfiguredSite(
        indexes=f'{INDEX}\n    name = "Books"\n\nclass Other(BookIndex):\n    name = "books"\n',
        says=(
            "Two vector indexes are named 'books': shop.vector_indexes.BookIndex and ",
            "shop.vector_indexes.Other.",
            "HINT: Give one of them another 'name'.",
        ),
    ),
    "models where querysets belong": MisconfiguredSite(
        indexes=INDEX.replace("Book.objects.all()", "Book"),
        says=("shop.BookIndex: querysets must be a list of querysets",),
    ),
    "chunks of no size": MisconfiguredSite(
        indexes=f"{INDEX}\n    chunk_tokens = 0\n",
        says=("shop.BookIndex: chunk_tokens must be an int of at least 1, not 0.",),
    ),
    "one queryset instead of a list": MisconfiguredSite(
        indexes=INDEX.replace("[Book.objects.all()]", "Book.objects.all()"),
        says=("shop.BookIndex: querysets must be a list of querysets",),
    ),
    "an empty list of querysets": MisconfiguredSite(
        indexes=INDEX.replace("Book.objects.all()", ""),
        says=("shop.BookIndex: querysets is empty", "List the content to index, such as"),
    ),
    **{
        f"{what} where a queryset belongs": MisconfiguredSite(
            indexes=INDEX.replace("Book.objects.all()", queryset),
            says=(f"a queryset of shop.Book is {kind}, ", "Select the content with filter()"),
        )
        for what, queryset, kind in [
            ("a slice", "Book.objects.all()[:5]", "sliced"),
            ("a union", "Book.objects.union(Book.objects.all())", "combined"),
            ("values", "Book.objects.values()", "made of values"),
            ("a list of values", "Book.objects.values_list('title')", "made of values"),
        ]
    },
    "an unknown metric": MisconfiguredSite(
        indexes=f'{INDEX}\n    metric = "manhattan"\n',
        says=("shop.BookIndex: <NumpyBackend", "the metric 'manhattan'", "cosine, dot, euclidean"),
    ),
    "content that cannot be asked for": MisconfiguredSite(
        indexes=f"{INDEX}\n    def get_querysets(self):\n        raise OSError('no catalogue')\n",
        says=("shop.BookIndex cannot be read: OSError: no catalogue", "shop.vector_indexes.BookIn"),
    ),
    "DISABLED_PLUGINS is a text": MisconfiguredSite(
        settings={DISABLED: "openai"},
        says=(f"{DISABLED} must be a list of plugin names, not 'openai'.",),
    ),
    "DISABLED_PLUGINS names nothing": MisconfiguredSite(
        settings={DISABLED: ["opneai"]},
        says=(f"{DISABLED} names 'opneai', but no such plugin is installed.", "HINT: Installed pl"),
        fails=False,
    ),
    "the plugin of a backend is switched off": MisconfiguredSite(
        settings={DISABLED: ["numpy"]},
        says=("plugin 'numpy' of wagtail-vector-index-numpy", "Remove the name from that list"),
    ),
    "two plugins of one name": MisconfiguredSite(
        settings=vector(BACKEND="acme"),
        plugins={
            "acme-one": offering("vector", acme='path="one.A"'),
            "acme-two": offering("vector", acme='path="two.A"'),
        },
        says=(
            "acme-one 1.0 and acme-two 1.0 both offer a vector backend named 'acme'. Choose one:",
            "'acme-one:acme' or 'acme-two:acme'",
        ),
    ),
}


def make_app(folder, site):
    """The app of a site, in this folder."""
    app = folder / "shop"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(site.models)
    (app / "vector_indexes.py").write_text(site.indexes)


def install_app():
    """Install the app without setting up the other apps again."""
    apps.app_configs["shop"] = config = AppConfig.create("shop")
    config.apps, config.models = apps, {}
    apps.clear_cache()
    config.import_models()
    autodiscover()


def forget_app():
    apps.app_configs.pop("shop", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
    apps.all_models.pop("shop", None)
    apps.clear_cache()


@pytest.fixture
def check(tmp_path, monkeypatch, settings):
    """A function that runs the checks on a site, and returns the output and whether they failed."""
    fakes = make_site(tmp_path, monkeypatch)
    installed = next(fakes)

    def run(site):
        for name, source in (site.plugins or {}).items():
            module = f"{name.replace('-', '_')}_plugin"
            installed.install(name, {name: module}, **{module: source})
        if site.plugins is None:
            installed.hide()
        make_app(tmp_path, site)
        monkeypatch.syspath_prepend(str(tmp_path))
        for name, value in site.settings.items():
            if value is MISSING:
                delattr(settings, name)
            else:
                setattr(settings, name, value)
        install_app()
        output = StringIO()
        try:
            call_command("check", "--tag", "wagtail_vector_index", stdout=output, stderr=output)
        except SystemCheckError as error:
            return str(error), True
        return output.getvalue(), False

    yield run
    forget_app()
    for _ in fakes:
        pass


@pytest.mark.once
@pytest.mark.parametrize("name", SITES)
def test_says_what_to_do(name, check):
    site = SITES[name]
    output, failed = check(site)
    assert failed is site.fails
    for text in site.says:
        assert text in output
    for text in site.never_says:
        assert text not in output
    messages = [line for line in output.splitlines() if "(wagtail_vector_index." in line]
    assert len(messages) == len(set(messages)), "The same thing is said twice."


def test_nothing_is_said_about_a_site_that_is_right(check):
    output, failed = check(MisconfiguredSite(says=()))
    assert not failed
    assert "wagtail_vector_index" not in output


@pytest.mark.once
@pytest.mark.parametrize(
    "name",
    [
        "openai as a vector backend",
        "an embedding field that doesn't exist",
        "one queryset instead of a list",
    ],
)
def test_on_the_command_line_it_is_no_traceback(name, tmp_path):
    site = SITES[name]
    output = failed_check(tmp_path, site)
    for text in site.says:
        assert text in output
    for text in ("Traceback", *site.never_says):
        assert text not in output


@pytest.mark.once
def test_the_app_itself_is_missing(tmp_path):
    """What it is for is then already imported by the site's models."""
    output = failed_check(tmp_path, MisconfiguredSite(says=()), without="wagtail_vector_index")
    assert output.splitlines()[-1] == (
        "wagtail_vector_index.exceptions.AppNotInstalled: wagtail_vector_index.models needs"
        " wagtail_vector_index in INSTALLED_APPS. Add it, then run: manage.py migrate"
    )


def failed_check(folder, site, without=""):
    """What the command ``check`` says, where it fails."""
    make_app(folder, site)
    (folder / "site_settings.py").write_text(
        "from tests.settings import *\n"
        f"INSTALLED_APPS = ['shop', *(app for app in FEWEST_APPS if app != {without!r})]\n"
        "MIDDLEWARE, ROOT_URLCONF, DATABASE_ROUTERS = [], 'wagtail.urls', []\n"
        f"globals().update({site.settings!r})\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", "check"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
            "DJANGO_SETTINGS_MODULE": "site_settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    return result.stderr
