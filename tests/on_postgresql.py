"""Run pytest on a site whose database is PostgreSQL: ``python -m tests.on_postgresql core/tests``.

The server is that in DATABASE_URL. Without this variable, a server is started for the run. Tests
that use no database are left out, since they run elsewhere.
"""

import os
import sys

import pytest

from tests.postgres import CannotStart, running

#: pytest-django's fixtures for tests of a database.
DATABASE = {"db", "transactional_db"}


def pytest_collection_modifyitems(config, items):
    def uses_database(item):
        return bool(
            item.get_closest_marker("django_db") or DATABASE.intersection(item.fixturenames)
        )

    config.hook.pytest_deselected(items=[item for item in items if not uses_database(item)])
    items[:] = filter(uses_database, items)


def main():
    try:
        with running() as url:
            os.environ["DATABASE_URL"] = url
            options = ["--ds=tests.settings_postgresql", "-p", "tests.on_postgresql"]
            return pytest.main([*options, *sys.argv[1:]])
    except CannotStart as error:
        print(f"All of {' '.join(sys.argv[1:])} skipped: {error}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
