from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0008_shares")]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="keep_embeddings",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="collection",
            name="dropped_revision",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="embedding",
            name="direction_only",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RemoveConstraint(model_name="embedding", name="wvi_embedding_unique"),
        migrations.AddConstraint(
            model_name="embedding",
            constraint=models.UniqueConstraint(
                fields=["content_hash", "fingerprint", "direction_only"],
                name="wvi_embedding_unique",
            ),
        ),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(embedding__isnull=True, deleted_at__isnull=True),
                fields=["content_hash"],
                name="wvi_document_dropped",
            ),
        ),
    ]
