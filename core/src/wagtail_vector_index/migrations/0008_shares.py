from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0007_document_label_lines")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="compared_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="pendingchange",
            name="holder",
            field=models.CharField(blank=True, max_length=255, null=True),
        ),
        migrations.AddField(
            model_name="pendingchange",
            name="holder_seen",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="pendingchange",
            index=models.Index(
                condition=models.Q(("holder__isnull", False)),
                fields=["object_key"],
                name="wvi_pending_held",
            ),
        ),
        migrations.AddIndex(
            model_name="pendingchange",
            index=models.Index(
                condition=models.Q(("holder__isnull", False)),
                fields=["holder"],
                name="wvi_pending_holder",
            ),
        ),
    ]
