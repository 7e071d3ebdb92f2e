"""Start the distribution of a new backend.

The scaffold is part of the authors' kit, the distribution `wagtail-vector-index-testing`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ..quiet import QuietableCommand

SCAFFOLD = "wagtail_vector_index.scaffold"


class Command(QuietableCommand):
    """Write a distribution that holds a working backend and its tests."""

    help = "Write a distribution with a small working backend, for you to turn into your own."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the command. If the kit is missing, say so before the arguments are parsed."""
        try:
            scaffold()
        except CommandError as error:
            self.stderr.write(f"{type(error).__name__}: {error}")
            sys.exit(error.returncode)
        super().run_from_argv(argv)

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "name", help="The short name by which sites select the backend, such as: acme"
        )
        parser.add_argument(
            "--kind",
            choices=("vector", "embedding"),
            default="vector",
            help="A vector backend stores and searches vectors (the default). An embedding backend"
            " makes vectors from texts.",
        )
        parser.add_argument(
            "--store",
            choices=("library", "sql", "service"),
            help="What keeps the vectors of a vector backend: a library in the process (the"
            " default), a database that speaks SQL, or a service behind HTTP.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the distribution into a new folder here, and print the next steps."""
        kit = scaffold()
        try:
            named = {name: options[name] for name in ("name", "kind", "store")}
            backend = kit.NewBackend(**named)
            folder = kit.write_distribution(backend, Path.cwd())
        except (ValueError, FileExistsError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"The distribution cannot be written: {error}. No file of it is left. Correct"
                " this, or run the command in another folder."
            ) from error
        self.stdout.write(
            f"{self.style.SUCCESS(f'{folder} is ready.')} To test it:\n"
            f"  cd {folder.name}\n"
            '  python -m pip install --editable ".[test]"\n'
            "  python -m pytest\n"
            "Its README.md describes the next steps."
        )


def scaffold() -> ModuleType:
    """Return the kit's package that names and writes a distribution.

    Raises:
        CommandError: the kit is not installed.
    """
    try:
        return import_module(SCAFFOLD)
    except ModuleNotFoundError as error:
        if error.name != SCAFFOLD:  # the kit is installed, and broken
            raise
        raise CommandError(
            "startvectorbackend is part of the authors' kit, which is not installed."
            ' Run: pip install "wagtail-vector-index[testing]"'
        ) from None
