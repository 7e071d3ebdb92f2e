"""The classes by which Wagtail's ``update_index`` brings a vector index up to date."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from modelsearch.backends.base import BaseIndex

from ..indexing.updating import apply_changes

__all__ = ["SemanticIndex", "SemanticRebuilder"]


class SemanticIndex(BaseIndex):
    """The index that Wagtail adds objects to. It stores none of them.

    Wagtail adds every object that is saved within the editor's transaction, in which nothing
    may be embedded. Changes reach the vector index through its outbox instead.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.has_content = False

    def __str__(self) -> str:
        return str(self.backend.vector_index.name)

    def add_items(self, model: Any, items: Sequence[Any]) -> None:
        """Note that there are objects to index. `SemanticRebuilder.finish` finds which."""
        self.has_content = True

    def refresh(self) -> None:
        """Write the changes in the outbox now. Wagtail itself never calls this method.

        Raises:
            ConfigurationError, EmbeddingError, BackendError: changes written before the error
                are kept.
        """
        apply_changes(self.backend.vector_index)


class SemanticRebuilder:
    """Updates the vector index once for all models, unless Wagtail updates only the schema."""

    def __init__(self, index: SemanticIndex) -> None:
        self.index = index

    def start(self) -> SemanticIndex:
        """Return the index that Wagtail adds the objects to."""
        return self.index

    def finish(self) -> None:
        """Bring the vector index up to date.

        Raises:
            CommandError: some objects cannot be indexed; the message names them and says why.
        """
        if self.index.has_content:
            name = self.index.backend.vector_index.name
            call_command("update_vector_indexes", name, verbosity=0, stdout=io.StringIO())
