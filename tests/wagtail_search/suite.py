"""The tests that every search backend of Wagtail's has to pass, for ours.

Run by test_suite.py in a process of its own, since the settings are.
"""

import unittest

from django.test import TestCase, override_settings
from modelsearch.tests.test_backends import BackendTests

WORDS = "Words have to be there, or not; a search by meaning knows only how near texts are."
ANY_FIELD = "The database filters and orders, so that it can do so by any field: nothing to refuse."
WHOLE = "An object is embedded as a whole: its fields can be neither chosen nor weighed."
NO_START = "The beginning of a word has no meaning to be near to."
NO_GROUPS = "What is near to a text has no end, and so no numbers of objects in groups."
OTHERS = "A model that is not in the index is refused, whether or not it has search fields."

#: The tests that make no sense for a search by meaning, with the reason.
LEFT_OUT = {
    WORDS: [
        "test_and",
        "test_negated_and",
        "test_negated_or",
        "test_not",
        "test_operators_combination",
        "test_phrase",
        "test_plain_text_multiple_words_and",
        "test_search_and_operator",
    ],
    ANY_FIELD: [
        "test_filter_on_non_filterable_field",
        "test_missing_filter_field",
        "test_missing_filter_field_in_related_fields",
        "test_missing_related_fields",
        "test_order_by_non_filterable_field",
    ],
    WHOLE: [
        "test_boost",
        "test_search_boosting_on_related_fields",
        "test_search_on_individual_field",
    ],
    OTHERS: ["test_search_all_unindexed"],
    NO_START: [name for name in dir(BackendTests) if name.startswith("test_autocomplete")],
    NO_GROUPS: [name for name in dir(BackendTests) if name.startswith("test_facet")],
}


@override_settings(WAGTAIL_VECTOR_INDEX_AUTO_UPDATE=True)
class TestSemanticSearchBackend(BackendTests, TestCase):
    backend_path = "wagtail_vector_index.wagtail_search"


for reason, names in LEFT_OUT.items():
    for name in names:
        left_out = unittest.skip(reason)(getattr(BackendTests, name))
        setattr(TestSemanticSearchBackend, name, left_out)
