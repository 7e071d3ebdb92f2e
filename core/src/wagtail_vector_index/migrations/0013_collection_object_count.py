from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0012_dropped_index")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="object_count",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
    ]
