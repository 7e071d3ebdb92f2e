from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0005_collection_retry_task")]

    operations = [
        migrations.AlterField(
            model_name="document",
            name="object_key",
            field=models.CharField(max_length=640),
        ),
        migrations.AlterField(
            model_name="pendingchange",
            name="object_key",
            field=models.CharField(max_length=640),
        ),
    ]
