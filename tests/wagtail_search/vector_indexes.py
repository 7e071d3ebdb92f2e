"""What of the models is embedded: what their own search fields name."""

from modelsearch.test.testapp.models import (
    Author,
    Book,
    Character,
    Meeting,
    MPAnimal,
    Novel,
    NSAnimal,
    ProgrammingGuide,
)

from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.models import EmbeddingField

TEXTS = {
    Author: ["name"],
    Book: ["title", "summary", "authors__name"],
    Novel: ["title", "summary", "setting", "characters__name"],
    ProgrammingGuide: ["title", "summary", "get_programming_language_display"],
    Character: ["name", "novel_as_protagonist__title"],
    Meeting: ["name", "agenda_items__topic", "agenda_items__speakers__name"],
    MPAnimal: ["name"],
    NSAnimal: ["name"],
}
for model, names in TEXTS.items():
    model.embedding_fields = [EmbeddingField(name) for name in names]


class SuiteIndex(VectorIndex):
    """All of them; books as what they are."""

    querysets = [
        Novel.objects.all(),
        ProgrammingGuide.objects.all(),
        Book.objects.filter(novel=None, programmingguide=None),
        *(model.objects.all() for model in (Author, Character, Meeting, MPAnimal, NSAnimal)),
    ]
