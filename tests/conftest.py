"""The databases of tests with several processes.

Fixtures are made here and not imported into each module, which would start a server of PostgreSQL
for each module.
"""

from tests.postgres import postgres
from tests.shared_databases import database, new_postgresql_database, shared_database

__all__ = ["database", "new_postgresql_database", "postgres", "shared_database"]
