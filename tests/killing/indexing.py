"""An indexer that is killed at some moment, in one of several ways."""

import contextlib
import functools
import os
import random
import signal
import threading
import time

from django.conf import settings
from django.db import connection

from tests.serving import append_line
from wagtail_vector_index.exceptions import RebuildRunning
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing import draining
from wagtail_vector_index.indexing.updating import apply_changes, apply_removals, update

INDEXES = (
    "testapp.ArticlePage",
    "testapp.SiteIndex",
    "testapp.Notice",
    "killing.DocumentIndex",
)


def index_until_killed(fate, seed):
    """Write changes, and now and then compare or rebuild, until the process is killed."""
    chosen = random.Random(seed)
    log_what_is_held()
    FATES[fate](chosen)
    while True:
        index = get_index(chosen.choice(INDEXES))
        way = chosen.random()
        with contextlib.suppress(RebuildRunning):
            if way < 0.1:
                update(index, rebuild=way < 0.03)
            elif way < 0.2:
                apply_removals(index, compare=way < 0.12)
            else:
                apply_changes(index)
        time.sleep(0.002)


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def at_any_time(chosen):
    threading.Timer(chosen.uniform(0, 0.5), die).start()


def at_a_statement(chosen):
    left = [chosen.randint(1, 200)]

    def count(execute, *arguments):
        left[0] -= 1
        if not left[0]:
            die()
        return execute(*arguments)

    connection.execute_wrappers.append(count)


def when_the_backend_is_told(chosen):
    """After a push, before the record knows that."""

    def look(execute, sql, *arguments):
        if sql.startswith('UPDATE "wvi_collection" SET "applied_revision"'):
            die()
        return execute(sql, *arguments)

    connection.execute_wrappers.append(look)


def with_embeddings_in_flight(chosen):
    left = [chosen.randint(1, 3)]

    def count(texts):
        left[0] -= 1
        if not left[0]:
            die()

    embedding_backends["default"].before = count


FATES = {
    function.__name__: function
    for function in (
        when_the_backend_is_told,
        at_any_time,
        at_a_statement,
        with_embeddings_in_flight,
    )
}


def log_what_is_held():
    """Log from when to when a drain knows which embeddings it lacks, and gets them."""
    log = settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS["default"]["LOG"]
    embedding_ids = draining.embedding_ids

    @functools.wraps(embedding_ids)
    def logged(*arguments):
        append_line(log, event="begin", process=os.getpid())
        found = embedding_ids(*arguments)
        append_line(log, event="end", process=os.getpid())
        return found

    draining.embedding_ids = logged
