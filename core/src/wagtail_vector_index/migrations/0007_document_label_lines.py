from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0006_longer_object_keys")]

    operations = [
        migrations.AddField(
            model_name="document",
            name="label_lines",
            field=models.TextField(blank=True, default=""),
        ),
    ]
