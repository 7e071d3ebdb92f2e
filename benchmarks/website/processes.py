"""The benchmarks' steps on the site, each of which runs in a process of its own.

`benchmarks.measure.isolated` calls the functions, so their arguments and results are JSON
values. Memory is measured for the whole process, Django and Wagtail included.
"""

import os
import time

from benchmarks.measure import peak_resident, resident


def start(database):
    """Set up Django on this database."""
    os.environ["BENCHMARK_DATABASE"] = database
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.website.settings"
    import django

    django.setup()


def make(database, kind, count):
    """Make the site's tables and write its content."""
    start(database)
    from django.core.management import call_command

    from .content import fill

    call_command("migrate", verbosity=0)
    fill(kind, count)


def index(database, kind, count):
    """Bring the index of a model up to date."""
    start(database)
    import numpy  # noqa: F401  # imported here, since the import is not measured

    from wagtail_vector_index.indexing.updating import update

    before = resident()
    started = time.perf_counter()
    updated = update(vector_index(kind))
    seconds = time.perf_counter() - started
    assert updated.drained.upserted in (0, count), f"{updated.drained} of {count}"
    return {
        "seconds": seconds,
        "written": updated.drained.upserted,
        "before": before,
        "peak": peak_resident(),
    }


def change(database, kind):
    """Change one object, and bring the index up to date."""
    start(database)
    from django.db.models import Value
    from django.db.models.functions import Concat

    from wagtail_vector_index.indexing.updating import update

    from .content import MODELS

    first = MODELS[kind].objects.order_by("pk")[:1]
    MODELS[kind].objects.filter(pk__in=first.values("pk")).update(
        body=Concat("body", Value(" New."))
    )
    update(vector_index(kind))


def index_words(database):
    """Fill Wagtail's full-text index."""
    start(database)
    from django.core.management import call_command

    call_command("update_index", verbosity=0)


def search(database, kind, count, repeats):
    """Search from a text to objects: first a search that loads the index, then some more."""
    start(database)
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from wagtail_vector_index.handlers import vector_backends

    from .content import text

    index = vector_index(kind)
    backend = Timed(vector_backends["default"])
    seconds, outside = [], []
    before = resident()
    for turn in range(repeats + 1):
        number = turn * 7919 % count
        query = text(number)
        backend.seconds = 0.0
        started, started_in_thread = time.perf_counter(), time.thread_time()
        found = list(index.search(query, limit=10))
        seconds.append(time.perf_counter() - started)
        outside.append(time.thread_time() - started_in_thread - backend.seconds)
        assert len(found) == 10
        assert found[0].body == query, "another passage was found"
    with CaptureQueriesContext(connection) as queries:
        list(index.search(text(0), limit=10))
    return {
        "first": seconds[0],
        "seconds": seconds[1:],
        "outside": outside[1:],
        "queries": len(queries),
        "before": before,
        "peak": peak_resident(),
    }


class Timed:
    """Adds up the processor's seconds of a vector backend's searches, in this thread alone.

    The threads of a numerical library wait busily for a while after each product.
    """

    def __init__(self, backend):
        self.seconds = 0.0
        self._search = backend.search
        backend.search = self.search

    def search(self, *arguments, **options):
        """Search, and add the seconds that it takes."""
        started = time.thread_time()
        try:
            return self._search(*arguments, **options)
        finally:
            self.seconds += time.thread_time() - started


def vector_index(kind):
    """Return the index of one of the two models."""
    from .content import MODELS

    return MODELS[kind].vector_index
