"""The tree of errors."""

import inspect
import pickle
import re
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured

from wagtail_vector_index import exceptions

CLASSES = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and value.__module__ == exceptions.__name__
}


def drawn():
    """What the docstring draws: each class with its parents' names, in order."""
    found, path = [], []
    for line in exceptions.__doc__.splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+)(?: \(([\w., ]+)\))?", line)
        if match:
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            others = {name.rpartition(".")[2] for name in (match[3] or "").split(", ") if name}
            found.append((match[2], {*path[-2:-1], *others}))
    return found


def test_the_tree_that_is_drawn_is_the_tree_there_is():
    real = {name: {base.__name__ for base in value.__bases__} for name, value in CLASSES.items()}
    real["VectorIndexError"] = set()
    assert dict(drawn()) == real


def test_it_is_drawn_in_the_order_of_the_code():
    assert [name for name, _ in drawn()] == list(CLASSES)


def test_all_is_complete_and_sorted():
    assert exceptions.__all__ == sorted(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_has_a_docstring_and_one_root(name):
    assert CLASSES[name].__doc__.strip().endswith(".")
    assert issubclass(CLASSES[name], exceptions.VectorIndexError)


def test_django_knows_configuration_errors():
    assert issubclass(exceptions.ConfigurationError, ImproperlyConfigured)


@pytest.mark.parametrize("name", CLASSES)
def test_survives_a_journey_to_another_process(name):
    arguments = ("a message", [uuid4()]) if name == "WriteFailed" else ("a message",)
    error = CLASSES[name](*arguments)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == "a message"
    assert vars(copy) == vars(error)


def test_write_failed_keeps_the_ids():
    ids = [uuid4(), uuid4()]
    assert exceptions.WriteFailed("no", iter(ids)).ids == tuple(ids)
