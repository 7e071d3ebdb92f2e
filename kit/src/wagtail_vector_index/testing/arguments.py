"""What the words of ``python -m wagtail_vector_index.testing`` ask for."""

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
  {PROGRAM} acme_wagtail_vectors.backend.AcmeBackend --options @acme.json
  {PROGRAM} pgvector --database-url postgres://me@localhost/postgres
"""


class WrongUse(Exception):
    """What was asked for makes no sense."""


def say(message: str, status: int) -> int:
    """Tell of an error; gives the status back."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)  # noqa: T201  # this is a command
    return status


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
