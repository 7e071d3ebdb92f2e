"""Run pytest on a site whose database is PostgreSQL: ``python -m tests.on_postgresql core/tests``.

The server is that in DATABASE_URL. Without this variable, a server is started for the run.
"""

import os
import sys

import pytest

from tests.postgres import CannotStart, running


def main():
    try:
        with running() as url:
            os.environ["DATABASE_URL"] = url
            return pytest.main(["--ds=tests.settings_postgresql", *sys.argv[1:]])
    except CannotStart as error:
        print(f"All of {' '.join(sys.argv[1:])} skipped: {error}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
