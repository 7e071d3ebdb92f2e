from typing import Any

from django.db import migrations, models
from django.db.models import Count


def count(apps: Any, schema_editor: Any) -> None:
    """Count the objects of the collections that changes are written to."""
    using = schema_editor.connection.alias
    collections = apps.get_model("wagtail_vector_index", "Collection").objects.using(using)
    documents = apps.get_model("wagtail_vector_index", "Document").objects.using(using)
    for collection in collections.filter(state__in=("building", "active")):
        live = documents.filter(collection=collection, deleted_at=None)
        found = live.aggregate(objects=Count("object_key", distinct=True))
        collections.filter(pk=collection.pk).update(object_count=found["objects"])


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0012_dropped_index")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="object_count",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(count, migrations.RunPython.noop, elidable=True),
    ]
