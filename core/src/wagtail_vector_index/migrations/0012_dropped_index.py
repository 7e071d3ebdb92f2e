from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0011_collection_served")]

    operations = [
        migrations.RemoveIndex(model_name="document", name="wvi_document_dropped"),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("embedding__isnull", True)),
                fields=["collection", "content_hash"],
                name="wvi_document_dropped",
            ),
        ),
    ]
