"""The base class of commands that print nothing if they are asked to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand


class QuietableCommand(BaseCommand):
    """A command that prints nothing with ``--verbosity 0``, except errors that end it."""

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run the command, with its output discarded if the verbosity is 0."""
        if options["verbosity"]:
            return super().execute(*args, **options)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            return super().execute(*args, **{**options, "stdout": nowhere})
