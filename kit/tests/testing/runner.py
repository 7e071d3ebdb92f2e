"""Runs the conformance tests of a class in this process, without pytest's machinery."""

from collections.abc import Iterator
from itertools import product

import pytest

from wagtail_vector_index.testing import VectorBackendConformance

#: Hypothesis is slow where it is to find nothing.
STATEFUL = "test_behaves_like_the_oracle"


def first_failure(suite, cases):
    """The id of the first test that fails, and its exception; None where all pass."""
    for name, arguments in cases:
        if (error := failure_of(suite, name, arguments)) is not None:
            return label(name, arguments), error
    return None


def failure_of(suite, name, arguments):
    """What one test raises, if it fails."""
    test = suite()
    try:
        getattr(test, name)(**arguments)
    except pytest.skip.Exception:
        return None
    except Exception as error:  # noqa: BLE001  # any failure is a failure
        return error
    return None


def label(name, arguments):
    return f"{name}[{', '.join(map(str, arguments.values()))}]" if arguments else name


def cases_of(suite=VectorBackendConformance, *, only=None) -> Iterator[tuple[str, dict]]:
    """Each test, or only some, with each of its parameters, in the order of the suite's parts."""
    names = dict.fromkeys(name for part in suite.__mro__ for name in vars(part))
    for name in names:
        if name.startswith("test_") and name != STATEFUL and (only is None or name in only):
            yield from ((name, arguments) for arguments in arguments_of(getattr(suite, name)))


def arguments_of(function):
    """Every combination of the values in a function's parametrize marks."""
    choices = []
    for mark in getattr(function, "pytestmark", ()):
        assert mark.name == "parametrize", f"{function.__name__}: {mark.name} is not understood"
        names, values = mark.args
        names = names.split(",") if isinstance(names, str) else names
        rows = [value if len(names) > 1 else (value,) for value in values]
        choices.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in product(*choices):
        yield {name: value for part in chosen for name, value in part.items()}
