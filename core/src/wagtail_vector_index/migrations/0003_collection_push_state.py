from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0002_pending_change_scope")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="sent_revision",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="collection",
            name="recall",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="collection",
            name="service_run",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="collection",
            name="attempts",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="collection",
            name="last_error",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="collection",
            name="next_attempt",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="collection",
            name="builder",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="collection",
            name="builder_seen",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="collection",
            constraint=models.UniqueConstraint(
                condition=models.Q(state="building"),
                fields=["index"],
                name="wvi_collection_one_building",
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(deleted_at__isnull=False),
                fields=["deleted_at"],
                name="wvi_document_tombstones",
            ),
        ),
        migrations.AddIndex(
            model_name="embedding",
            index=models.Index(fields=["created_at"], name="wvi_embedding_created"),
        ),
    ]
