"""Shows the backends that are installed and configured, and whether they work."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.db import Error
from django.utils import timezone

from ...backends.base import VectorBackend
from ...conf import KINDS
from ...contract.recall import Recall
from ...exceptions import VectorIndexError
from ...indexes import VectorIndex
from ...indexes.registry import all_indexes
from ...indexing.counting import count_problems, unfound_problems
from ...indexing.failures import is_waiting
from ...indexing.orphans import orphans
from ...indexing.problems import Problem
from ...indexing.status import IndexStatus, status_of
from ...models.tables import Collection, PendingChange
from ...models.tenants import current_tenant, has_tables, missing_tables
from ...plugins.calling import active_registry
from ...plugins.handlers import HANDLERS, BackendHandler, vector_backends
from ...plugins.problems import problems
from ...plugins.redaction import redacted
from ...wording import describe
from ..quiet import QuietableCommand


class Command(QuietableCommand):
    """Lists plugins, their backends, the configured aliases and the indexes."""

    help = (
        "Show the backends that are installed and configured and, with --check, whether they work."
    )
    # This command shows mistakes itself; the checks would stop it before it can.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--check",
            action="store_true",
            help=(
                "Check whether every configured vector backend works and holds what it should. The"
                " command exits with 1 if one does not, if an index is not built, or if a change"
                " could not be written or waits for too long."
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the lists, each up to its first error."""
        check = options["check"]
        self._broken: set[str] = set()
        configured = (partial(self._configured, h, check=check) for h in HANDLERS)
        indexes = partial(self._indexes, check=check)
        lists: list[Callable[[], bool]] = [self._installed, *configured, indexes]
        results = [self._up_to_first_error(show) for show in lists]
        if not all(results):
            sys.exit(1)

    def _up_to_first_error(self, show: Callable[[], bool]) -> bool:
        try:
            return show()
        except VectorIndexError as error:
            self.stdout.write(self.style.ERROR(f"  {error}"))
            return False

    def _installed(self) -> bool:
        self._heading("Installed plugins")
        registry = active_registry()
        for plugin in registry.plugins:
            source = plugin.source
            self.stdout.write(f"  {source.name}  ({source.distribution} {source.version})")
            for kind in KINDS:
                for name, spec in plugin.backends[kind].items():
                    summary = f": {spec.summary}" if spec.summary else ""
                    self.stdout.write(f"    {kind} backend {name!r}{summary}")
        for problem in problems(registry):
            self.stdout.write(self.style.ERROR(f"  {problem.message}"))
            self.stdout.write(f"    {problem.remedy}")
        for source in registry.disabled:
            self.stdout.write(f"  {source.name}  (switched off)")
        if not (registry.plugins or registry.failures or registry.disabled):
            self.stdout.write(
                '  none. To begin, run: pip install "wagtail-vector-index[numpy,wordllama]"'
            )
        return True

    def _configured(self, handler: BackendHandler[Any], *, check: bool) -> bool:
        self._heading(handler.setting)
        healthy = True
        for alias in handler:
            ok, text = self._state(handler, alias, check=check)
            healthy &= ok
            self.stdout.write(f"  {alias}: {text if ok else self.style.ERROR(text)}")
        if not list(handler):
            self.stdout.write("  none")
        return healthy

    def _state(self, handler: BackendHandler[Any], alias: str, *, check: bool) -> tuple[bool, str]:
        try:
            backend = handler[alias]
        except VectorIndexError as error:
            return False, str(error)
        options = repr(backend.options).removeprefix(type(backend.options).__qualname__)
        text = f"{type(backend).__name__}{options}"
        if not check or handler is not vector_backends:
            return True, text
        ok, health = self._health(backend)
        if not ok:
            self._broken.add(alias)
        return ok, f"{text}: {redacted(health)}"

    def _health(self, backend: VectorBackend) -> tuple[bool, str]:
        try:
            health = backend.health()
            details = "".join(f", {name} {value}" for name, value in health.details.items())
        except Exception as error:  # noqa: BLE001  # this command reports whatever fails
            return False, f"does not work: {describe(error)}"
        state = "works" if health.ok else "does not work"
        return health.ok, f"{state}: {health.message}{details}"

    def _indexes(self, *, check: bool) -> bool:
        tenant = current_tenant()
        self._heading(f"Vector indexes in the schema {tenant!r}" if tenant else "Vector indexes")
        indexes = all_indexes()
        try:
            if not has_tables():
                self.stdout.write(self.style.ERROR(f"  {missing_tables()}"))
                return False
            stored = [orphan.problem for orphan in orphans(index.name for index in indexes)]
        except Error as error:
            text = f"  {describe(error)}. Run: manage.py migrate"
            self.stdout.write(self.style.ERROR(text))
            return False
        fine = True
        for index in indexes:
            fine &= self._index_or_error(index, check=check)
        self._problems(stored)
        if not indexes:
            self.stdout.write("  none")
        return (fine and not stored) or not check

    def _index_or_error(self, index: VectorIndex, *, check: bool) -> bool:
        try:
            return self._index(status_of(index), check=check)
        except Exception as error:  # noqa: BLE001  # from the site's own code, and shown
            self.stdout.write(self.style.ERROR(f"  {index.name}: {redacted(describe(error))}"))
            return False

    def _index(self, status: IndexStatus, *, check: bool) -> bool:
        """Print an index, its problems and what to do; return whether there are none."""
        chunks = "not built" if status.active is None else f"{status.documents} chunks"
        text = f"  {status.name}: {chunks}, {status.pending} changes pending"
        if status.oldest_pending_at:
            text += f", the oldest since {_moment(status.oldest_pending_at)}"
        if status.failed:
            text += f", {status.failed} of them failed"
        self.stdout.write(text)
        for line in map(_failed_change, status.failures):
            self.stdout.write(self.style.ERROR(f"    {line}"))
        if status.failed > len(status.failures):
            self.stdout.write(f"    and {status.failed - len(status.failures)} more")
        for line in map(_failed_collection, status.failed_collections):
            self.stdout.write(self.style.ERROR(f"    {line}"))
        if status.failed or status.failed_collections:
            self.stdout.write(
                "    Nothing is lost, and failed changes are tried again automatically. To try"
                f" again now, run: manage.py update_vector_indexes {status.name}"
            )
        asked: list[Problem] = []
        if check:
            for collection in status.collections:
                if collection.recall:
                    self._recall(collection.vector_backend, Recall.from_json(collection.recall))
            asked += count_problems(status, without=self._broken)
            asked += unfound_problems(status, without=self._broken)
        self._problems([*status.problems, *asked])
        return status.is_ok and not asked

    def _recall(self, alias: str, recall: Recall) -> None:
        """Print the recall of a collection, and what to do if it is too low or unknown."""
        style = self.style.SUCCESS if recall.reached else self.style.WARNING
        verb = "measured" if recall.is_measured else "tried"
        when = f", {verb} {_moment(recall.measured_at)}" if recall.measured_at else ""
        self.stdout.write(style(f"    {alias}: {recall}{when}"))
        if recall.advice:
            self.stdout.write(f"    {recall.advice}")

    def _problems(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self.stdout.write(self.style.ERROR(f"    {problem.message}"))
            self.stdout.write(f"    {problem.remedy}")

    def _heading(self, text: str) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(text))


def _failed_change(change: PendingChange) -> str:
    return f"{change.object_key}: {_attempts(change.attempts)}: {change.last_error}"


def _failed_collection(collection: Collection) -> str:
    behind = ", which is behind" if collection.is_behind else ""
    wait = ""
    if collection.next_attempt and is_waiting(collection):
        wait = f", the next at {_moment(collection.next_attempt)}"
    return (
        f"{collection.name} on {collection.vector_backend!r}{behind}:"
        f" {_attempts(collection.attempts)}{wait}: {collection.last_error}"
    )


def _attempts(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _moment(when: dt.datetime) -> str:
    local = timezone.localtime(when) if timezone.is_aware(when) else when
    return f"{local:%Y-%m-%d %H:%M:%S}"
