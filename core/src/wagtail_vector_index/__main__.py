"""Runs ``startvectorbackend`` where there is no project, and so no ``manage.py``.

::

    python -m wagtail_vector_index startvectorbackend acme
"""

from __future__ import annotations

import sys

from .management.commands.startvectorbackend import Command

COMMAND = "startvectorbackend"
PROGRAM = "python -m wagtail_vector_index"

if __name__ == "__main__":
    if sys.argv[1:2] != [COMMAND]:
        sys.exit(
            f"Usage: {PROGRAM} {COMMAND} NAME [--kind vector|embedding]\n"
            "Every other command needs a project: run it by manage.py."
        )
    Command().run_from_argv([PROGRAM, *sys.argv[1:]])
