from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0004_manage_permission")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="retry_task_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
