"""A minimal Wagtail site, run by an environment that has some distributions installed.

Runs the steps named on the command line and prints what each saw as one line of JSON.
"""

import importlib
import importlib.util
import json
import os
import sys
from importlib.metadata import entry_points
from uuid import UUID

import django
from django.conf import settings

CLIENTS = [
    "apsw", "fastembed", "numpy", "onnxruntime", "openai", "orjson", "pgvector", "psycopg",
    "qdrant_client", "sqlite_vec", "usearch", "weaviate", "wordllama",
]  # fmt: skip


def setup():
    """Django with Wagtail and the app, in default settings; what it left imported.

    The variable VECTOR_BACKEND is the setting of another vector backend than the default, as JSON.
    """
    from wagtail_vector_index.plugins import django_apps

    chosen = {}
    if setting := os.environ.get("VECTOR_BACKEND"):
        chosen["WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"] = {"default": json.loads(setting)}
    settings.configure(
        **chosen,
        INSTALLED_APPS=[
            "wagtail_vector_index",
            *django_apps(),
            "wagtail.users",
            "wagtail.documents",
            "wagtail.images",
            "wagtail.admin",
            "wagtail",
            "modelcluster",
            "taggit",
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SECRET_KEY="packaging",
        STATIC_URL="/static/",
        WAGTAILADMIN_BASE_URL="http://localhost",
        WAGTAIL_SITE_NAME="packaging",
    )
    django.setup()
    return imported()


def imported():
    """The clients, and NumPy, that are imported by now."""
    return [name for name in CLIENTS if name in sys.modules]


def installed():
    """The clients, and NumPy, that could be imported."""
    return [name for name in CLIENTS if importlib.util.find_spec(name)]


def plugins():
    """What discovery finds: plugins that load, and those that do not."""
    from wagtail_vector_index.plugins.discovery import registry

    found = registry()
    assert not found.failures, [str(failure) for failure in found.failures]
    return sorted(plugin.source.name for plugin in found.plugins)


def modules():
    """Import every plugin's module and the package it is in."""
    found = sorted(entry_points(group="wagtail_vector_index"), key=lambda point: point.name)
    for point in found:
        point.load()
    return [importlib.import_module(point.module.rpartition(".")[0]).__name__ for point in found]


def default_backend():
    """Whether the default settings get the class at the documented path."""
    from django.utils.module_loading import import_string

    from wagtail_vector_index.handlers import vector_backends

    documented = import_string("wagtail_vector_index.backends.numpy.NumpyBackend")
    return type(vector_backends["default"]) is documented


def default_backend_error():
    """What a site is told whose backend is not installed."""
    from django.core.exceptions import ImproperlyConfigured

    from wagtail_vector_index.handlers import vector_backends

    try:
        vector_backends["default"]
    except ImproperlyConfigured as error:
        return str(error)
    raise AssertionError("There should be no backend.")


def search():
    """Write records to the default backend, and find the nearest."""
    from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
    from wagtail_vector_index.handlers import vector_backends

    backend = vector_backends["default"]
    spec = CollectionSpec(name="packaging", dimensions=2)
    batch = RecordBatch.of(
        ids=[UUID(int=1), UUID(int=2), UUID(int=3)],
        vectors=[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    )
    backend.create(spec)
    backend.upsert(spec, batch)
    return [match.id.int for match in backend.search(spec, [0.1, 1.0], limit=2)]


def embed():
    """The size of a vector of the local embedding model."""
    from wagtail_vector_index.handlers import embedding_backends

    return len(embedding_backends["default"].embed_query("how do I bake bread?"))


def checks():
    """Messages of the app's system checks."""
    from django.core.checks import run_checks

    return [message.id for message in run_checks() if "wagtail_vector_index" in (message.id or "")]


if __name__ == "__main__":
    seen = {"setup": setup()}
    for name in sys.argv[1:]:
        seen[name] = globals()[name]()
    print(json.dumps(seen))
