"""An index over all plain objects and pages of the site, and what its database stores."""

from django.db import connection

from wagtail_vector_index.indexes import VectorIndex

from .models import Passage, PassagePage


class Everything(VectorIndex):
    """The plain objects come first, then the pages.

    It is declared here, so that only the benchmark that asks for it has it.
    """

    name = "website.Everything"
    querysets = [Passage.objects.all(), PassagePage.objects.all()]


#: The tables of an index, by what they hold.
_TABLES = {
    "chunks": ("wvi_document",),
    "embeddings": ("wvi_embedding",),
    "vector backend": ("wvi_vectors_",),
    "other": ("wvi_",),
}


def analyze():
    """Give PostgreSQL the statistics that it gathers by itself while a site is in use."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def bytes_of_tables():
    """Return the bytes of the tables with their indexes: the content's first, then the index's."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
            )
        else:
            cursor.execute(
                "SELECT tbl_name, sum(pgsize) FROM dbstat"
                " JOIN sqlite_master ON dbstat.name = sqlite_master.name GROUP BY tbl_name"
            )
        found = dict(cursor.fetchall())
    sizes = {"content": 0, **dict.fromkeys(_TABLES, 0)}
    for table, size in found.items():
        held = (what for what, begins in _TABLES.items() if table.startswith(begins))
        sizes[next(held, "content")] += size
    return sizes
