"""Decides whether a collection in a vector store belongs to this site, or to another copy of it.

A staging site often gets a copy of the production database. Then its index tables name
collections that production uses. Each collection's row says for which database it was created.
If that is another database than the present one, the site may search the collection, but must
neither write to it nor drop it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connections

from ..backends.base import VectorBackend
from ..conf import owner
from ..exceptions import ConfigurationError
from ..models.tables import Collection, index_database
from ..models.tenants import current_tenant
from ..plugins.handlers import vector_backends
from .problems import Problem

__all__ = ["current_owner", "foreign_problem", "is_foreign", "owner_is_certain", "take_over"]

_REMEDY = (
    "If this site was copied, run: manage.py update_vector_indexes, which builds collections of"
    " its own. If this site was moved, and the former one is gone, run: manage.py"
    " update_vector_indexes --take-over"
)

#: Each cluster of PostgreSQL has a number, which a restored dump does not share. Some services
#: do not offer it.
_MAY_ASK_NUMBER = "SELECT has_function_privilege(to_regprocedure('pg_control_system()'), 'EXECUTE')"
_NUMBER = "SELECT system_identifier FROM pg_control_system()"


def current_owner() -> str:
    """Return the name of this deployment of the site: its setting, or its database's address."""
    connection: Any = connections[index_database()]
    if name := owner():
        return f"{name}/{current_tenant()}" if current_tenant() else str(name)
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        name = str(settings["NAME"])
        is_file = not (connection.is_in_memory_db() or name.startswith("file:"))
        return f"sqlite:{Path(name).resolve() if is_file else name}"
    address = f"{connection.vendor}://{settings['HOST']}:{settings['PORT']}"
    if connection.vendor != "postgresql":
        return f"{address}/{settings['NAME']}"
    database, schema, number = _database(connection)
    return f"{address}/{database}?schema={quote(schema)}&cluster={number}"


def owner_is_certain() -> bool:
    """Return whether each copy of this site has another `current_owner`.

    Two containers often have a database at the same address. Only PostgreSQL says that it is
    another one, if the site's role may ask it.
    """
    connection: Any = connections[index_database()]
    if owner():
        return True
    if connection.vendor == "sqlite":
        return bool(connection.is_in_memory_db())  # nobody has a copy of it
    return connection.vendor == "postgresql" and bool(_database(connection)[2])


def is_foreign(collection: Collection, backend: VectorBackend) -> bool:
    """Return whether this site must leave a collection in the backend as it is."""
    return bool(backend.shared and collection.owner and collection.owner != current_owner())


def foreign_problem(collection: Collection) -> Problem | None:
    """Return why this site leaves a collection as it is, or None if the collection is its own."""
    try:
        backend = vector_backends[collection.vector_backend]
    except ConfigurationError:
        return None  # other checks report it
    if not is_foreign(collection, backend):
        return None
    return Problem(
        message=(
            f"{collection.index}: the collection {collection.name} in"
            f" {collection.vector_backend!r} was created for {collection.owner}, but this site is"
            f" {current_owner()}. It is searched, but gets no changes from here."
        ),
        remedy=_REMEDY,
    )


def take_over(index_name: str) -> int:
    """Make this site the owner of an index's collections; return how many were another's.

    Meanwhile, the former owner may have changed them, so everything is sent again.
    """
    collections = Collection.objects.filter(index=index_name).exclude(
        owner__in=("", current_owner())
    )
    return int(collections.update(owner=current_owner(), applied_revision=0, sent_revision=0))


def _database(connection: Any) -> tuple[str, str, str]:
    """Return the names of the database and the schema, and the number of the cluster.

    The settings lack the name if they name a service. The number is "" if the database does not
    say it.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT current_database(), current_schema(), ({_MAY_ASK_NUMBER})")
        database, schema, may_ask = cursor.fetchone()
        number = ""
        if may_ask:
            cursor.execute(_NUMBER)
            number = str(cursor.fetchone()[0])
    return database, schema or "", number
