"""Run pytest on a site whose database is PostgreSQL: ``python -m tests.on_postgresql core/tests``.

The server is that in DATABASE_URL. Without this variable, a server is started for the run. Where
none can be started, the tests run on SQLite.
"""

import os
import sys

import pytest

from tests.postgres import CannotStart, new_folder, remove, running


def main():
    folder = new_folder()
    try:
        with running(folder) as url:
            os.environ["DATABASE_URL"] = url
            return pytest.main(["--ds=tests.settings_postgresql", *sys.argv[1:]])
    except CannotStart as error:
        print(f"On SQLite, not on PostgreSQL: {error}", flush=True)
        return pytest.main(sys.argv[1:])
    finally:
        remove(folder)


if __name__ == "__main__":
    sys.exit(main())
