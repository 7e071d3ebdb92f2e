"""How Wagtail's ``update_index`` brings a vector index up to date."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from django.core.management import call_command
from modelsearch.backends.base import BaseIndex

from ..indexing.updating import apply_changes

__all__ = ["SemanticIndex", "SemanticRebuilder"]


class SemanticIndex(BaseIndex):
    """Notes nothing itself: what changes gets into the vector index through its outbox.

    Wagtail tells of every object that is saved, within the editor's transaction. Nothing may
    be embedded then.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.has_content = False

    def __str__(self) -> str:
        return str(self.backend.vector_index.name)

    def add_items(self, model: Any, items: Sequence[Any]) -> None:
        """Note that objects are to be indexed, whichever they are."""
        self.has_content = True

    def refresh(self) -> None:
        """Write what is noted in the outbox, now. Wagtail itself never asks for it.

        Raises:
            ConfigurationError, EmbeddingError, BackendError: what was done until then is kept.
        """
        apply_changes(self.backend.vector_index)


class SemanticRebuilder:
    """Updates the vector index, once for all models, unless only a schema is wanted."""

    def __init__(self, index: SemanticIndex) -> None:
        self.index = index

    def start(self) -> SemanticIndex:
        """The index that takes the objects."""
        return self.index

    def finish(self) -> None:
        """Bring the vector index up to date.

        Raises:
            CommandError: naming the objects that cannot be indexed, and why.
        """
        if self.index.has_content:
            name = self.index.backend.vector_index.name
            call_command("update_vector_indexes", name, verbosity=0, stdout=io.StringIO())
