"""Run the suite on a configured backend, without a test file and without a project."""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.checks import ERROR
from django.db import Error as DatabaseError
from django.utils.functional import cached_property

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.conf import BackendKind
from wagtail_vector_index.exceptions import ConfigurationError
from wagtail_vector_index.plugins.discovery import Offer, registry
from wagtail_vector_index.plugins.handlers import BackendHandler
from wagtail_vector_index.plugins.resolving import KNOWN_BACKENDS
from wagtail_vector_index.wording import article, describe

from .arguments import (
    FAILED,
    NOT_RUN,
    PASSED,
    WRONG_USE,
    WrongUse,
    parse,
    read_options,
    say,
    split,
)
from .databases import InvalidDatabaseURL, database_at, temporary_database
from .running import Run

__all__ = ["main"]

ALIAS = "default"

#: The test file of a run.
TESTS = "from wagtail_vector_index.testing.configured import TestBackend as TestBackend\n"

#: The suites for other kinds of backends, which this command does not run.
SUITES: Mapping[BackendKind, str] = {
    "embedding": "EmbeddingBackendConformance",
    "reranking": "RerankingBackendConformance",
}


class NotRun(Exception):
    """The tests could not run, or could not run to their end."""


class CommandLine(BackendHandler[VectorBackend]):
    """The backend that the command line names, read as the settings would be.

    Args:
        name: the short name or the dotted path of the backend.
        options: the options of the backend.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        super().__init__("vector", VectorBackend)
        self.name = name
        self.options = options

    @cached_property
    def configured(self) -> Mapping[str, Mapping[str, Any]]:
        return {ALIAS: {**self.options, "BACKEND": self.name}}

    def where(self, alias: str) -> str:
        """Return the place that errors name."""
        return "The command line"

    def make(self) -> VectorBackend:
        """Make a new instance."""
        return self._create(ALIAS)


def main(argv: Sequence[str]) -> int:
    """Run the command, and return its exit status.

    Args:
        argv: the arguments after the name of the module.
    """
    words, for_pytest = split(argv)
    arguments = parse(words)
    try:
        with ready(arguments) as handler:
            return run(handler, for_pytest, thorough=arguments.thorough)
    except WrongUse as error:
        return say(str(error), WRONG_USE)
    except NotRun as error:
        return say(str(error), NOT_RUN)


# Django and the backend


@contextmanager
def ready(arguments: argparse.Namespace) -> Iterator[CommandLine]:
    """Set Django up, and yield the handler of a backend that works.

    Raises:
        WrongUse: the backend or its options are wrong.
        NotRun: a service or database cannot be used.
    """
    handler = CommandLine(arguments.backend, read_options(arguments.options))
    check_kind(arguments.backend)
    configure(arguments)
    try:
        # The class comes first: if it cannot be imported, no database is made.
        backend = handler.make()
        with database(arguments):
            check(backend)
            yield handler
    except ConfigurationError as error:
        raise WrongUse(str(error)) from None


def check_kind(name: str) -> None:
    """Raise if this is the name of a backend that has another suite."""
    for kind, suite in SUITES.items():
        known = offers(kind, name) or name in KNOWN_BACKENDS[kind]
        if known and not offers("vector", name):
            raise WrongUse(
                f"{name!r} is {article(kind)} backend, not a vector one. Write a test class that"
                f" derives from wagtail_vector_index.testing.{suite}, and run it with pytest."
            )


def configure(arguments: argparse.Namespace) -> None:
    """Set Django up, with the project's settings or with settings of this command.

    Raises:
        WrongUse: the settings cannot be used, or are missing.
    """
    if arguments.settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = arguments.settings
        try:
            importlib.import_module(arguments.settings)
            django.setup()
        except Exception as error:  # noqa: BLE001  # whatever a settings module raises
            raise WrongUse(f"--settings {arguments.settings}: {describe(error)}") from None
        return
    apps = django_apps(arguments.backend)
    if apps and not arguments.database_url:
        raise WrongUse(
            f"the backend {arguments.backend!r} keeps its vectors in Django's own database."
            " Name a PostgreSQL server with --database-url, or a project with --settings."
        )
    settings.configure(
        DATABASES={ALIAS: chosen_database(arguments.database_url)},
        INSTALLED_APPS=["django.contrib.contenttypes", *apps],
        SECRET_KEY="conformance",  # noqa: S106  # nothing is signed with it
        USE_TZ=True,
    )
    django.setup()


def chosen_database(url: str | None) -> dict[str, Any]:
    """Return the database as an entry of Django's ``DATABASES``."""
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    try:
        return database_at(url)
    except InvalidDatabaseURL as error:
        raise WrongUse(f"--database-url: {error}") from None


def django_apps(name: str) -> list[str]:
    """Return the Django apps that the plugin of this backend needs."""
    offered = offers("vector", name)
    return list(dict.fromkeys(app for each in offered for app in each.spec.django_apps))


def offers(kind: BackendKind, name: str) -> list[Offer]:
    """Return the offers of a backend by its dotted path or its short name."""
    offer = registry().offer_at(kind, name)
    return [offer] if offer else registry().offers(kind, name)


@contextmanager
def database(arguments: argparse.Namespace) -> Iterator[None]:
    """Make the tables of the backend's Django apps, if the command line names a server."""
    if not arguments.database_url:
        yield
        return
    try:
        with temporary_database(ALIAS):
            yield
    except DatabaseError as error:
        raise NotRun(f"--database-url: {without_passwords(describe(error))}") from None


def check(backend: VectorBackend) -> None:
    """Raise unless the backend is configured correctly and works."""
    redact = redactor(backend)
    try:
        for message in backend.check():
            if message.level >= ERROR:
                raise WrongUse(redact(f"{message.msg} {message.hint or ''}".strip()))
        backend.health()
    except WrongUse:
        raise
    except Exception as error:  # noqa: BLE001  # any error, printed without secrets
        raise NotRun(redact(describe(error))) from None
    finally:
        backend.close()


def redactor(backend: VectorBackend) -> Callable[[str], str]:
    """Return a function that hides the secrets of the options and of the database."""
    return lambda text: str(backend.options.redact(without_passwords(text)))


def without_passwords(text: str) -> str:
    """Return a text without the passwords of the databases."""
    for each in settings.DATABASES.values():
        if password := each.get("PASSWORD"):
            text = text.replace(password, "********")
    return text


# The tests


def run(handler: CommandLine, for_pytest: list[str], *, thorough: bool) -> int:
    """Run pytest, without the configuration and the plugins of this environment."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        inifile = Path(folder, "pytest.ini")
        inifile.write_text("[pytest]\n", encoding="utf-8")
        # pytest would import an editable kit by its path, and so a second time.
        tests = Path(folder, "test_backend.py")
        tests.write_text(TESTS, encoding="utf-8")
        status = pytest.main(
            [
                f"--config-file={inifile}",
                f"--rootdir={folder}",
                f"--confcutdir={folder}",
                "--tb=short",
                "--no-header",
                "--disable-warnings",
                "-p",
                "no:cacheprovider",
                str(tests),
                *for_pytest,
            ],
            plugins=[Run(handler.make, redactor(handler.make()), thorough=thorough)],
        )
    return {
        pytest.ExitCode.OK: PASSED,
        pytest.ExitCode.TESTS_FAILED: FAILED,
        pytest.ExitCode.USAGE_ERROR: WRONG_USE,
        pytest.ExitCode.NO_TESTS_COLLECTED: WRONG_USE,
    }.get(pytest.ExitCode(status), NOT_RUN)
