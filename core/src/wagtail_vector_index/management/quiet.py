"""The base class of commands, which decides what they print, and how."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

#: The exit code that shells use for a command that Ctrl+C has ended.
_INTERRUPTED = 130


class QuietableCommand(BaseCommand):
    """A command that prints nothing with ``--verbosity 0``, except errors that end it.

    Titles and texts of the site are in any script. Characters that the encoding of the output does
    not have are printed as escapes.
    """

    #: What to print after Ctrl+C.
    interrupted = "Interrupted."

    _is_quiet = False

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, where Ctrl+C is not an error."""
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            sys.stdout.flush()  # so that a file of both streams keeps the order of the lines
            self.stderr.write(self.interrupted)
            sys.exit(_INTERRUPTED)

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run the command, with its output discarded if the verbosity is 0."""
        self._is_quiet = not options["verbosity"]
        if options["verbosity"]:
            if options.get("stdout") is None and hasattr(self.stdout, "reconfigure"):
                self.stdout.reconfigure(errors="backslashreplace")  # as Python has stderr
            return super().execute(*args, **options)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            return super().execute(*args, **{**options, "stdout": nowhere})

    def check(self, *args: Any, **options: Any) -> None:
        """Run the system checks, whose warnings are discarded if the verbosity is 0."""
        stderr = self.stderr
        if self._is_quiet:
            self.stderr = self.stdout  # which is discarded
        try:
            super().check(*args, **options)
        finally:
            self.stderr = stderr
