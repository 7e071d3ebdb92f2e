from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0014_count_objects")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="plugins",
            field=models.JSONField(blank=True, default=list),
        ),
    ]
