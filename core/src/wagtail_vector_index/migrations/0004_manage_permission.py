from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0003_collection_push_state")]

    operations = [
        migrations.AlterModelOptions(
            name="collection",
            options={
                "permissions": [("manage_collection", "Can manage vector indexes")],
                "verbose_name": "vector collection",
                "verbose_name_plural": "vector collections",
            },
        ),
        migrations.AddField(
            model_name="collection",
            name="changed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
