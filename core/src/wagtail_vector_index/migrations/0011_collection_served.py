from typing import Any

from django.db import migrations, models


def remember(apps: Any, schema_editor: Any) -> None:
    """Nobody knows which of these collections served searches, so all are remembered, as before."""
    rows = apps.get_model("wagtail_vector_index", "Collection").objects
    rows = rows.using(schema_editor.connection.alias)
    rows.filter(state__in=("retired", "dropped")).update(served=True)


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0010_pending_indexes")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="served",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunPython(remember, migrations.RunPython.noop, elidable=True),
    ]
