"""The command-line arguments of ``python -m wagtail_vector_index.testing``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from wagtail_vector_index.wording import describe

from .rules import contract_url

__all__ = [
    "FAILED",
    "NOT_RUN",
    "PASSED",
    "WRONG_USE",
    "WrongUse",
    "parse",
    "read_options",
    "say",
    "split",
]

PROGRAM = "python -m wagtail_vector_index.testing"
#: The exit statuses of the process.
PASSED, FAILED, WRONG_USE, NOT_RUN = range(4)

DESCRIPTION = """\
Run the conformance suite on a vector backend that you configure here. You need neither a
test file nor a Django project. The backend may use a live server.

Every test creates collections under new names that begin with "conformance", and drops
them. Collections that a test leaves behind are dropped at the end. Nothing else on the
server is read, changed or deleted; only the names of its collections are listed.
"""

EPILOGUE = f"""\
Arguments after -- go to pytest, such as: -- -k filter -x

The exit status is 0 if every test passed or was skipped, 1 if a rule is broken, 2 if the
arguments are wrong, and 3 if the tests could not run to their end.

The rules: {contract_url()}

Examples:
  {PROGRAM} numpy
  {PROGRAM} qdrant --options '{{"HOST": "http://localhost:6333"}}'
  {PROGRAM} acme_wagtail_vectors.backend.AcmeBackend --options @acme.json
  {PROGRAM} pgvector --database-url postgres://me@localhost/postgres
"""

#: What to do where quotes are lost. PowerShell needs the quotes around a word with an "@".
ON_WINDOWS = 'On Windows, put it into a file: --options "@options.json".'


class WrongUse(Exception):
    """The arguments are wrong."""


def say(message: str, status: int) -> int:
    """Print an error, and return the status."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)  # noqa: T201  # this is a command
    return status


class Parser(argparse.ArgumentParser):
    """A parser whose errors repeat no argument: it may be a secret."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        sys.exit(say(message, WRONG_USE))


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments of this command, and the arguments after ``--``."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the arguments of this command."""
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} BACKEND [--options JSON] [--thorough]"
        " [--database-url URL | --settings MODULE] [-- PYTEST_ARGUMENTS]",
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
        help='its options as in the settings, such as \'{"HOST": "…"}\'; or @FILE, to read them'
        " from a file, so that secrets are neither in the shell's history nor in the list of"
        " processes",
    )
    parser.add_argument(
        "--thorough",
        action="store_true",
        help="use larger collections and batches, and more examples; this takes some minutes",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--database-url",
        metavar="URL",
        help="for a backend that uses Django's own database: a PostgreSQL server. The run makes"
        " a database there, and drops it at the end",
    )
    where.add_argument(
        "--settings",
        metavar="MODULE",
        help="for the same backend: a settings module, whose database the collections are in",
    )
    found, others = parser.parse_known_args(words)
    if others:
        parser.error(
            f"unknown arguments: {len(others)}. The JSON of --options must be one argument:"
            f" put it into single quotes. {ON_WINDOWS}"
        )
    return found


def read_options(given: str) -> dict[str, Any]:
    """Read the options from JSON, or from a file of JSON.

    Raises:
        WrongUse: the options cannot be read. The error names the place, and repeats no value.
    """
    in_file = given.startswith("@")
    name = given[1:] if in_file else "--options"
    try:
        # Of bytes, json recognises the encoding: programs for Windows write UTF-16, or a BOM.
        options = json.loads(Path(name).read_bytes() if in_file else given)
    except json.JSONDecodeError as error:
        place = f"{error.msg} in line {error.lineno}, column {error.colno}."
        advice = "" if in_file else f" {ON_WINDOWS}"
        raise WrongUse(f"{name} is not JSON: {place}{advice}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"--options: {name} cannot be read: {describe(error)}") from None
    if not isinstance(options, dict):
        raise WrongUse(f'{name} must be a JSON object such as {{"HOST": "…"}}.')
    if "BACKEND" in options:
        raise WrongUse(f"{name}: the backend is the first argument of the command, not an option.")
    return options
