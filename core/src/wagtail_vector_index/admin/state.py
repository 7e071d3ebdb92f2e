"""How an index is doing: what it holds, how fresh that is, and what waits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count, Min, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from ..embeddings.base import EmbeddingBackend
from ..exceptions import ConfigurationError
from ..indexes import VectorIndex
from ..indexing.plan import Plan, live_collections
from ..models.tables import Collection, Document, PendingChange
from .errors import redacted, told

FAILED = ~Q(last_error="")


@dataclass
class IndexState:
    """An index as it is now. Everything is read when it is first asked for."""

    index: VectorIndex

    @property
    def name(self) -> str:
        """The index's name."""
        return self.index.name

    @property
    def url(self) -> str:
        """The address of its page in the admin."""
        return index_url("detail", self.index)

    @property
    def vector_backend(self) -> str:
        """The alias of the vector backend that serves it or, if none does yet, will."""
        return self.active.vector_backend if self.active else self.index.vector_backend

    @property
    def next_vector_backend(self) -> str:
        """The alias that the settings name, where another one still serves."""
        wanted = self.index.vector_backend
        return "" if wanted == self.vector_backend else wanted

    @property
    def embedding_model(self) -> str:
        """The model that texts are embedded with, or the backend's alias if it has no name."""
        return (self._embedder.model if self._embedder else "") or self.index.embedding_backend

    @cached_property
    def active(self) -> Collection | None:
        """The collection that is searched."""
        return self._collection(Collection.State.ACTIVE)

    @cached_property
    def building(self) -> Collection | None:
        """The collection that will take its place."""
        return self._collection(Collection.State.BUILDING)

    @cached_property
    def objects(self) -> int:
        """How many source objects can be found."""
        live = Document.objects.filter(collection=self.active, deleted_at=None)
        return live.aggregate(count=Count("object_key", distinct=True))["count"] or 0

    @property
    def documents(self) -> int:
        """How many documents can be found."""
        return self.active.document_count if self.active else 0

    @property
    def changed_at(self) -> dt.datetime | None:
        """When its documents last changed."""
        return (self.active.changed_at or self.active.created_at) if self.active else None

    @property
    def unapplied(self) -> int:
        """How many revisions the vector backend has yet to be told of."""
        return self.active.revision - self.active.applied_revision if self.active else 0

    @property
    def pending(self) -> int:
        """How many changes wait in the outbox."""
        return int(self._changes["pending"])

    @property
    def failed(self) -> int:
        """How many of them were tried in vain."""
        return int(self._changes["failed"])

    @property
    def waiting_since(self) -> dt.datetime | None:
        """When the oldest of them was made."""
        since: dt.datetime | None = self._changes["since"]
        return since

    @cached_property
    def problem(self) -> str:
        """Why it cannot be searched, and what to do about it; empty if it can be."""
        try:
            return self._problem()
        except Exception as error:  # noqa: BLE001  # of a backend, and told
            return told(error, self.index)

    @property
    def service_error(self) -> str:
        """The last error of a service that the index needs, while changes wait for it."""
        for collection in (self.active, self.building):
            if collection is not None and collection.attempts:
                return redacted(collection.last_error, self.index)
        return ""

    @property
    def is_fresh(self) -> bool:
        """Whether a search tells the truth about all that was changed."""
        return bool(self.active) and not (self.problem or self.pending or self.unapplied)

    @property
    def status(self) -> str:
        """All that in a word or two."""
        if self.building:
            return _("rebuilding") if self.active else _("being built")
        if not self.active:
            return _("not built")
        if self.problem or self.service_error:
            return _("needs attention")
        return _("up to date") if self.is_fresh else _("changes pending")

    def _problem(self) -> str:
        self.index.configuration  # noqa: B018  # raises what is wrong with its fields
        if not self.active:
            return _("This index is not built yet, and cannot be searched. Rebuild it.")
        if self.index.embedder.known_dimensions is None:
            return ""  # only the model could tell, and this page asks no service
        differences = Plan.of(self.index).differences(self.active)
        if not differences:
            return ""
        return _("This index was built with other settings: %(differences)s. Rebuild it.") % {
            "differences": "; ".join(differences)
        }

    def _collection(self, state: Collection.State) -> Collection | None:
        found: Collection | None = live_collections(self.name).filter(state=state).first()
        return found

    @cached_property
    def _embedder(self) -> EmbeddingBackend | None:
        try:
            return self.index.embedder
        except ConfigurationError:
            return None  # it is told as the problem

    @cached_property
    def _changes(self) -> dict[str, Any]:
        rows = PendingChange.objects.filter(index=self.name)
        return rows.aggregate(  # type: ignore[no-any-return]
            pending=Count("pk"), failed=Count("pk", filter=FAILED), since=Min("created_at")
        )


def index_url(view: str, index: VectorIndex) -> str:
    """The address of one of an index's pages."""
    return reverse(f"wagtail_vector_index:{view}", args=[index.name])
