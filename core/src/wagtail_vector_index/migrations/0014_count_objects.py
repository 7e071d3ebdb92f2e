from typing import Any

from django.db import migrations
from django.db.models import Count


def count(apps: Any, schema_editor: Any) -> None:
    """Count the objects of the collections that changes are written to."""
    using = schema_editor.connection.alias
    collections = apps.get_model("wagtail_vector_index", "Collection").objects.using(using)
    documents = apps.get_model("wagtail_vector_index", "Document").objects.using(using)
    changing = collections.filter(state__in=("building", "active"))
    changing.update(object_count=0)  # whoever writes documents waits for this lock
    for collection in changing.order_by("pk"):
        live = documents.filter(collection=collection, deleted_at=None)
        found = live.aggregate(objects=Count("object_key", distinct=True))
        collections.filter(pk=collection.pk).update(object_count=found["objects"])


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0013_collection_object_count")]

    # Apart from the new column, since adding it locks the table against searches too.
    operations = [migrations.RunPython(count, migrations.RunPython.noop, elidable=True)]
