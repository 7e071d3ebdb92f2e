"""Databases of a site to upgrade, looked at and changed without Django."""

import contextlib
import shutil
import sqlite3
import uuid
from pathlib import Path

LEFTOVERS = Path(__file__).parent / "leftovers"
OLD_NAMES = ("wagtail_vector_index", "pgvector_")
OLD_NAMES_CONDITION = " OR ".join(f"name LIKE '{name}%'" for name in OLD_NAMES)


class SQLite:
    """A database in a file."""

    vendor = "sqlite"
    tables_query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    old_objects_query = (
        f"SELECT name FROM (SELECT name FROM sqlite_master"
        f" UNION SELECT tbl_name FROM sqlite_master) WHERE {OLD_NAMES_CONDITION}"
    )

    def __init__(self, path):
        self.path = path

    @property
    def config(self):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self.path)}

    def copy(self):
        target = self.path.with_name(f"{uuid.uuid4().hex}.sqlite3")
        shutil.copy(self.path, target)
        return SQLite(target)

    def drop(self):
        self.path.unlink()

    def execute(self, script):
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(script)

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()


class PostgreSQL:
    """A database in a server."""

    vendor = "postgresql"
    tables_query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    old_objects_query = (
        "SELECT name FROM (SELECT relname AS name, relnamespace FROM pg_class) AS objects"
        f" WHERE relnamespace = 'public'::regnamespace AND ({OLD_NAMES_CONDITION})"
    )

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @classmethod
    def create(cls, server, template="template0"):
        name = f"upgrade_{uuid.uuid4().hex}"
        cls(server, server["NAME"]).execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return cls(server, name)

    @property
    def config(self):
        return {**self.server, "NAME": self.name}

    def copy(self):
        return self.create(self.server, template=self.name)

    def drop(self):
        PostgreSQL(self.server, self.server["NAME"]).execute(f"DROP DATABASE {self.name}")

    def execute(self, script):
        with contextlib.closing(self._connect()) as connection:
            connection.execute(script)

    def rows(self, query):
        with contextlib.closing(self._connect()) as connection:
            return connection.execute(query).fetchall()

    def _connect(self):
        import psycopg

        given = {
            "dbname": self.name,
            "user": self.server["USER"],
            "password": self.server["PASSWORD"],
            "host": self.server["HOST"],
            "port": self.server["PORT"],
        }
        return psycopg.connect(
            **{key: value for key, value in given.items() if value},
            **self.server["OPTIONS"],
            autocommit=True,
        )


def contents(database):
    """All rows of all tables, as texts, by table."""
    return {
        table: sorted(map(repr, database.rows(f'SELECT * FROM "{table}"')))
        for (table,) in database.rows(database.tables_query)
    }


def old_objects(database):
    """The names of tables, indexes and sequences that the older project made."""
    return {name for (name,) in database.rows(database.old_objects_query)}
