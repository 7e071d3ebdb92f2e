"""What the benchmarks do with the site, each in a process of its own.

The functions are called through `benchmarks.measure.isolated`: what they take and give is
JSON. Memory is that of the whole process, Django and Wagtail included.
"""

import os
import time

from benchmarks.measure import peak_resident, resident


def start(database):
    """Set Django up on this database."""
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
    """Index all there is; again, if it is indexed already."""
    start(database)
    import numpy  # noqa: F401  # not what is measured

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


def index_words(database):
    """Fill Wagtail's full-text index."""
    start(database)
    from django.core.management import call_command

    call_command("update_index", verbosity=0)


def search(database, kind, count, repeats):
    """From a text to objects: the first search, which loads the index, and some more."""
    start(database)
    from .content import text

    index = vector_index(kind)
    seconds = []
    before = resident()
    for turn in range(repeats + 1):
        number = turn * 7919 % count
        query = text(number)
        started = time.perf_counter()
        found = list(index.search(query, limit=10))
        seconds.append(time.perf_counter() - started)
        assert len(found) == 10
        assert found[0].body == query, "another passage was found"
    return {
        "first": seconds[0],
        "seconds": seconds[1:],
        "before": before,
        "peak": peak_resident(),
    }


def vector_index(kind):
    """The index of one of the two models."""
    from .content import MODELS

    return MODELS[kind].vector_index
