"""Runs the suite on a configured backend, without a test file and without a project."""

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
from wagtail_vector_index.exceptions import ConfigurationError
from wagtail_vector_index.handlers import BackendHandler
from wagtail_vector_index.plugins.discovery import registry
from wagtail_vector_index.wording import describe

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


class NotRun(Exception):
    """The tests could not be run, or not to their end."""


class CommandLine(BackendHandler[VectorBackend]):
    """The backend that the command line names, as if it stood in the settings.

    Args:
        name: the short name or the dotted path of the backend.
        options: its options.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        super().__init__("vector", VectorBackend)
        self.name = name
        self.options = options

    @cached_property
    def configured(self) -> Mapping[str, Mapping[str, Any]]:
        return {ALIAS: {**self.options, "BACKEND": self.name}}

    def where(self, alias: str) -> str:
        """How an error names the place."""
        return "The command line"

    def make(self) -> VectorBackend:
        """A new instance."""
        return self._create(ALIAS)


def main(argv: Sequence[str]) -> int:
    """Run the command; what it ends with says how it went.

    Args:
        argv: the words behind the name of the module.
    """
    words, for_pytest = split(argv)
    arguments = parse(words)
    try:
        with ready(arguments) as handler:
            return run(handler, for_pytest)
    except WrongUse as error:
        return say(str(error), WRONG_USE)
    except NotRun as error:
        return say(str(error), NOT_RUN)


# Django and the backend


@contextmanager
def ready(arguments: argparse.Namespace) -> Iterator[CommandLine]:
    """Django set up for a backend that can be used.

    Raises:
        WrongUse: something is configured wrongly.
        NotRun: a service or database cannot be used.
    """
    handler = CommandLine(arguments.backend, read_options(arguments.options))
    configure(arguments)
    try:
        # The class first: without it, no database need be made.
        backend = handler.make()
        with database(arguments):
            check(backend)
            yield handler
    except ConfigurationError as error:
        raise WrongUse(str(error)) from None


def configure(arguments: argparse.Namespace) -> None:
    """Set Django up, with the project's settings or with some of our own.

    Raises:
        WrongUse: the settings cannot be used, or are needed.
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
            f"the backend {arguments.backend!r} keeps its vectors in a database of Django's."
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
    """The database as one of Django's ``DATABASES``."""
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    try:
        return database_at(url)
    except InvalidDatabaseURL as error:
        raise WrongUse(f"--database-url: {error}") from None


def django_apps(name: str) -> list[str]:
    """The Django apps that the plugin of this backend asks for."""
    found = registry()
    offer = found.offer_at("vector", name)
    offers = [offer] if offer else found.offers("vector", name)
    return list(dict.fromkeys(app for each in offers for app in each.spec.django_apps))


@contextmanager
def database(arguments: argparse.Namespace) -> Iterator[None]:
    """The tables that the backend's Django apps need, where a server was named for them."""
    if not arguments.database_url:
        yield
        return
    try:
        with temporary_database(ALIAS):
            yield
    except DatabaseError as error:
        raise NotRun(f"--database-url: {without_passwords(describe(error))}") from None


def check(backend: VectorBackend) -> None:
    """Ask the backend whether it is configured well and works."""
    redact = redactor(backend)
    try:
        for message in backend.check():
            if message.level >= ERROR:
                raise WrongUse(redact(f"{message.msg} {message.hint or ''}".strip()))
        backend.health()
    except WrongUse:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told without secrets
        raise NotRun(redact(describe(error))) from None
    finally:
        backend.close()


def redactor(backend: VectorBackend) -> Callable[[str], str]:
    """What hides the secrets of the options and of the database."""
    return lambda text: str(backend.options.redact(without_passwords(text)))


def without_passwords(text: str) -> str:
    """A text without the passwords of the databases."""
    for each in settings.DATABASES.values():
        if password := each.get("PASSWORD"):
            text = text.replace(password, "********")
    return text


# The tests


def run(handler: CommandLine, for_pytest: list[str]) -> int:
    """Run pytest, with nothing of the environment's own configuration."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        inifile = Path(folder, "pytest.ini")
        # So that pytest imports the tests by their full name if the kit is installed as editable.
        inifile.write_text("[pytest]\nconsider_namespace_packages = true\n", encoding="utf-8")
        status = pytest.main(
            [
                f"--config-file={inifile}",
                f"--rootdir={here}",
                f"--confcutdir={here}",
                "--tb=short",
                "--no-header",
                "--disable-warnings",
                "-p",
                "no:cacheprovider",
                str(here / "configured.py"),
                *for_pytest,
            ],
            plugins=[Run(handler.make, redactor(handler.make()))],
        )
    return {
        pytest.ExitCode.OK: PASSED,
        pytest.ExitCode.TESTS_FAILED: FAILED,
        pytest.ExitCode.USAGE_ERROR: WRONG_USE,
        pytest.ExitCode.NO_TESTS_COLLECTED: WRONG_USE,
    }.get(pytest.ExitCode(status), NOT_RUN)
