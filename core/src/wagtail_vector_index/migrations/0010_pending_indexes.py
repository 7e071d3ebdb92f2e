from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wagtail_vector_index", "0009_keep_embeddings")]

    operations = [
        migrations.RemoveIndex(model_name="pendingchange", name="wvi_pending_held"),
        migrations.RemoveIndex(model_name="pendingchange", name="wvi_pending_holder"),
        migrations.AddIndex(
            model_name="pendingchange",
            index=models.Index(fields=["index", "object_key"], name="wvi_pending_object"),
        ),
        migrations.AddIndex(
            model_name="pendingchange",
            index=models.Index(
                condition=models.Q(("holder__isnull", False)),
                fields=["index", "holder"],
                name="wvi_pending_holder",
            ),
        ),
        migrations.AddIndex(
            model_name="pendingchange",
            index=models.Index(
                condition=models.Q(("scope", "object"), _negated=True),
                fields=["index"],
                name="wvi_pending_scope",
            ),
        ),
    ]
