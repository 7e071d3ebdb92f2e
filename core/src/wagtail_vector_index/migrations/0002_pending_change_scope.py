from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0001_record")]

    operations = [
        migrations.AddField(
            model_name="pendingchange",
            name="scope",
            field=models.CharField(
                choices=[
                    ("object", "the object"),
                    ("subtree", "the page and all below it"),
                    ("readers", "the objects that read this one"),
                    ("index", "any object of the index"),
                ],
                default="object",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="pendingchange",
            name="promise",
            field=models.UUIDField(blank=True, db_index=True, null=True),
        ),
    ]
