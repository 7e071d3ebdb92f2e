"""Creates the tables of the three page types. The body's blocks need no table."""

import wagtail.fields
from django.db import migrations, models
from django.db.models import CASCADE

from vectordemo.blocks import FEATURES, BodyBlock
from vectordemo.models import Section


def page_ptr():
    return models.OneToOneField(
        auto_created=True,
        on_delete=CASCADE,
        parent_link=True,
        primary_key=True,
        serialize=False,
        to="wagtailcore.page",
    )


def imported():
    return [
        ("source_path", models.CharField(blank=True, editable=False, max_length=255)),
        ("digest", models.CharField(blank=True, editable=False, max_length=64)),
    ]


class Migration(migrations.Migration):
    initial = True
    dependencies = [("wagtailcore", "0094_alter_page_locale")]
    operations = [
        migrations.CreateModel(
            name="HomePage",
            fields=[("page_ptr", page_ptr()), ("intro", models.TextField(blank=True))],
            options={"abstract": False},
            bases=("wagtailcore.page",),
        ),
        migrations.CreateModel(
            name="SectionPage",
            fields=[
                ("page_ptr", page_ptr()),
                *imported(),
                ("intro", wagtail.fields.RichTextField(blank=True, features=FEATURES)),
            ],
            options={"abstract": False},
            bases=("wagtailcore.page",),
        ),
        migrations.CreateModel(
            name="DocPage",
            fields=[
                ("page_ptr", page_ptr()),
                *imported(),
                ("section", models.CharField(choices=Section.choices, max_length=20)),
                ("body", wagtail.fields.StreamField(BodyBlock(), blank=True)),
            ],
            options={"abstract": False},
            bases=("wagtailcore.page",),
        ),
    ]
