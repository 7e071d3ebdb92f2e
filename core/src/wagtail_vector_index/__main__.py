"""Run ``startvectorbackend`` without a project, and so without ``manage.py``.

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
            f"Usage: {PROGRAM} {COMMAND} NAME [--kind vector|embedding]"
            " [--store library|sql|service]\n"
            "Every other command needs a project: run it with manage.py."
        )
    Command().run_from_argv([PROGRAM, *sys.argv[1:]])
