"""The status of an index as the admin shows it."""

from __future__ import annotations

from functools import cached_property

from django.urls import reverse
from django.utils.translation import gettext as _

from ..content.declaration import IndexDeclaration
from ..embeddings.base import EmbeddingBackend
from ..exceptions import ConfigurationError
from ..indexing.counting import count_problems
from ..indexing.status import IndexStatus
from .errors import message_of, readable


class IndexState(IndexStatus):
    """The status of an index, with its address in the admin and its texts for editors."""

    @property
    def url(self) -> str:
        """The address of the index's page in the admin."""
        return index_url("detail", self.index)

    @property
    def embedding_model(self) -> str:
        """The model that texts are embedded with, or the backend's alias if it has no name."""
        return (self._embedder.model if self._embedder else "") or self.index.embedding_backend

    @cached_property
    def problem(self) -> str:
        """The reason why the index cannot be searched, and the remedy; "" if it can be searched."""
        try:
            return readable(" ".join(map(str, self._unusable())), self.index)
        except Exception as error:  # noqa: BLE001  # whatever a backend raises is shown
            return message_of(error, self.index)

    @cached_property
    def delays(self) -> list[str]:
        """The changes that wait for too long and the rebuilds that stopped, with the remedies."""
        return [str(problem) for problem in self._late()]

    @cached_property
    def losses(self) -> list[str]:
        """The records that vector backends have lost or kept, with the remedies.

        This asks the vector backends, except those that failed a moment ago.
        """
        failed = {collection.vector_backend for collection in self.failed_collections}
        found = count_problems(self, without=failed)
        return [readable(str(problem), self.index) for problem in found]

    @property
    def service_error(self) -> str:
        """The last error of a service that pending changes wait for; "" if none failed."""
        error = next((each.last_error for each in self.failed_collections), "")
        return readable(error, self.index)

    @property
    def is_fresh(self) -> bool:
        """Whether a search finds all changes made so far."""
        return self.is_current and not self.problem

    @property
    def status(self) -> str:
        """The status of the index in a word or two."""
        if self.service_error or self.delays:
            return _("needs attention")
        if self.building:
            return _("rebuilding") if self.active else _("being built")
        if not self.active:
            return _("not built")
        if self.problem:
            return _("needs attention")
        return _("up to date") if self.is_fresh else _("changes pending")

    @cached_property
    def _embedder(self) -> EmbeddingBackend | None:
        try:
            return self.index.embedder
        except ConfigurationError:
            return None  # `problem` shows the reason


def index_url(view: str, index: IndexDeclaration) -> str:
    """Return the address of one of an index's pages in the admin."""
    return reverse(f"wagtail_vector_index:{view}", args=[index.name])
