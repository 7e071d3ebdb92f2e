"""Runs the suite on a configured backend, without a test file and without a project."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import django
import pytest
from django.conf import settings
from django.core.checks import ERROR
from django.db import Error as DatabaseError
from django.utils.functional import cached_property

from ..backends.base import VectorBackend
from ..exceptions import ConfigurationError
from ..handlers import BackendHandler
from ..plugins.discovery import describe, registry
from .databases import InvalidDatabaseURL, database_at, temporary_database
from .rules import contract_url
from .running import Run

__all__ = ["main"]

PROGRAM = "python -m wagtail_vector_index.testing"
ALIAS = "default"

#: What the process ends with.
PASSED, FAILED, WRONG_USE, NOT_RUN = range(4)

DESCRIPTION = """\
Run the conformance suite for vector backends on one that is configured here, a live
server included, without a test file and without a Django project.

Every test makes collections under new names that begin with "conformance" and drops
them; what a test leaves behind is dropped at the end. Nothing else on the server is
read, changed or deleted; only the names of the collections there are listed.
"""

EPILOGUE = f"""\
What follows -- goes to pytest, such as: -- -k filter -x

Ends with 0 if every test passed or was skipped, 1 if a rule is broken, 2 if what was
asked for makes no sense, 3 if the tests could not be run to their end.

The rules: {contract_url()}

Examples:
  {PROGRAM} numpy
  {PROGRAM} qdrant --options '{{"HOST": "http://localhost:6333"}}'
  {PROGRAM} acme_vectors.AcmeBackend --options @acme.json
  {PROGRAM} pgvector --database-url postgres://me@localhost/postgres
"""


class WrongUse(Exception):
    """What was asked for makes no sense."""


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


def say(message: str, status: int) -> int:
    """Tell of an error; gives the status back."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)  # noqa: T201  # this is a command
    return status


# What is asked for


class Parser(argparse.ArgumentParser):
    """A parser that repeats nothing of what it does not understand: it may be a secret."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        sys.exit(say(message, WRONG_USE))


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words for this command, and those behind ``--``."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def parse(words: list[str]) -> argparse.Namespace:
    """The arguments."""
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} BACKEND [--options JSON] [--database-url URL | --settings MODULE]"
        " [-- words for pytest]",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "backend",
        metavar="BACKEND",
        help="the short name of an installed backend, or the dotted path of a class",
    )
    parser.add_argument(
        "--options",
        default="{}",
        metavar="JSON",
        help='its options as in the settings, such as \'{"HOST": "…"}\'; or @FILE, a file that'
        " holds them, so that secrets are neither in the shell's history nor in the list of"
        " processes",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--database-url",
        metavar="URL",
        help="for a backend that uses Django's own database: a PostgreSQL server, on which a"
        " database is made for this run and dropped at its end",
    )
    where.add_argument(
        "--settings",
        metavar="MODULE",
        help="for the same: a settings module; collections are made in its own database",
    )
    found, others = parser.parse_known_args(words)
    if others:
        parser.error(
            f"{len(others)} of the words are not understood. The JSON of --options must be one"
            " word: put it into single quotes, or into a file."
        )
    return found


def read_options(given: str) -> dict[str, Any]:
    """The options, out of JSON or a file of it.

    Raises:
        WrongUse: naming the place, and never what stands there.
    """
    text, name = given, "--options"
    if given.startswith("@"):
        name = given[1:]
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(f"--options: {name} cannot be read: {describe(error)}") from None
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise WrongUse(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from None
    if not isinstance(options, dict):
        raise WrongUse(f'{name} must be a JSON object such as {{"HOST": "…"}}.')
    if "BACKEND" in options:
        raise WrongUse(f"{name}: the backend is the first word of the command, not an option.")
    return options


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
        inifile.write_text("[pytest]\n", encoding="utf-8")
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
