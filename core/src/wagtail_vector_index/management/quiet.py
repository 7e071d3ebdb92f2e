"""The base class of commands, which decides what they print, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand


class QuietableCommand(BaseCommand):
    """A command that prints nothing with ``--verbosity 0``, except errors that end it.

    Titles and texts of the site are in any script. Characters that the encoding of the output does
    not have are printed as escapes.
    """

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run the command, with its output discarded if the verbosity is 0."""
        if options["verbosity"]:
            if options.get("stdout") is None and hasattr(self.stdout, "reconfigure"):
                self.stdout.reconfigure(errors="backslashreplace")  # as Python has stderr
            return super().execute(*args, **options)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            return super().execute(*args, **{**options, "stdout": nowhere})
