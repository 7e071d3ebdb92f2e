import django.db.models.deletion
import modelcluster.contrib.taggit
import modelcluster.fields
import wagtail.fields
from django.db import migrations, models


def _named(name, *fields):
    own = [
        ("id", models.BigAutoField(primary_key=True, serialize=False)),
        ("name", models.CharField(max_length=100)),
    ]
    return migrations.CreateModel(name=name, fields=[*own, *fields])


def _key(to, **options):
    return models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=to, **options)


class Migration(migrations.Migration):
    dependencies = [
        ("website", "0001_initial"),
        ("taggit", "0003_taggeditem_add_unique_index"),
        ("wagtailcore", "0094_alter_page_locale"),
    ]

    operations = [
        _named("Publisher"),
        _named("Writer", ("publisher", _key("website.publisher"))),
        _named("Topic"),
        migrations.CreateModel(
            name="Story",
            fields=[
                (
                    "page_ptr",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="wagtailcore.page",
                    ),
                ),
                ("author", _key("website.writer", related_name="+")),
                ("topics", modelcluster.fields.ParentalManyToManyField(to="website.topic")),
                ("body", wagtail.fields.StreamField([])),
            ],
            bases=("wagtailcore.page",),
        ),
        migrations.CreateModel(
            name="StoryTag",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "content_object",
                    modelcluster.fields.ParentalKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tagged_items",
                        to="website.story",
                    ),
                ),
                ("tag", _key("taggit.tag", related_name="%(app_label)s_%(class)s_items")),
            ],
        ),
        migrations.AddField(
            model_name="story",
            name="tags",
            field=modelcluster.contrib.taggit.ClusterTaggableManager(
                blank=True, through="website.StoryTag", to="taggit.Tag"
            ),
        ),
    ]
