from django.db import migrations, models

from wagtail_vector_index.backends.pgvector.migrating import CreateTable, EnableExtension


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        EnableExtension(),
        CreateTable(
            name="VectorTable",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=48, unique=True)),
                ("dimensions", models.PositiveIntegerField()),
                ("metric", models.CharField(max_length=16)),
                ("fields", models.JSONField(default=dict)),
            ],
            options={"db_table": "wvi_pgvector_table"},
        ),
    ]
