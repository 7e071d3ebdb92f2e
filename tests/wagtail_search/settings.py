"""A site of the models that the search backends' own tests are written for."""

SECRET_KEY = "for tests only"
USE_TZ = True
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

INSTALLED_APPS = [
    "tests.wagtail_search",
    "wagtail_vector_index",
    "modelsearch.test.testapp",
    "modelsearch",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]

MODELSEARCH_BACKENDS = {
    "default": {"BACKEND": "modelsearch.backends.database"},
    "semantic": {
        "BACKEND": "wagtail_vector_index.wagtail_search",
        "INDEX": "wagtail_search.SuiteIndex",
        # To the words of these embeddings, a text without one of them is not near at all.
        "SIMILARITY_THRESHOLD": 0.05,
    },
}

WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": {"BACKEND": "numpy"}}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings", "DIMENSIONS": 4096},
}
