"""Starts the distribution of a new backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...authoring.naming import KINDS, NewBackend
from ...authoring.writing import write_distribution


class Command(BaseCommand):
    """Writes a distribution with a backend that works and its tests; see `authoring`."""

    help = "Start a distribution with a new backend, which works, to put your own in its place."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="The short name by which sites select it, such as: acme")
        parser.add_argument(
            "--kind",
            choices=list(KINDS),
            default="vector",
            help="What it does: keep vectors and find the nearest (the default), or make them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it into a new folder of the current one, and say what to do next."""
        try:
            backend = NewBackend(name=options["name"], kind=options["kind"])
            folder = write_distribution(backend, Path.cwd())
        except (ValueError, FileExistsError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"The distribution cannot be written, and nothing of it is left: {error}."
                " Mend that, or go to another folder."
            ) from error
        self.stdout.write(
            f"{self.style.SUCCESS(f'{folder} is ready.')} To test it:\n"
            f"  cd {folder.name}\n"
            '  python -m pip install --editable ".[test]"\n'
            "  python -m pytest\n"
            "README.md there tells how to go on."
        )
