"""Shows which backends are installed, configured and healthy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from ...backends.base import VectorBackend
from ...exceptions import VectorIndexError
from ...handlers import HANDLERS, BackendHandler, vector_backends
from ...indexes.registry import all_indexes
from ...models.record import Collection, PendingChange
from ...plugins.calling import active_registry
from ...plugins.discovery import KINDS, describe


class Command(BaseCommand):
    """Lists plugins, their backends, the configured aliases and the indexes."""

    help = "Show which backends are installed and configured; with --check, whether they work."
    # What is wrong is what this command shows; the checks would stop it before that.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--check",
            action="store_true",
            help="Ask every configured vector backend whether it works. Exits with 1 if not.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the lists, each as far as it goes."""
        configured = (partial(self._configured, h, check=options["check"]) for h in HANDLERS)
        lists: list[Callable[[], bool]] = [self._installed, *configured, self._indexes]
        results = [self._as_far_as_it_goes(show) for show in lists]
        if not all(results):
            sys.exit(1)

    def _as_far_as_it_goes(self, show: Callable[[], bool]) -> bool:
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
        for failure in registry.failures:
            self.stdout.write(self.style.ERROR(f"  {failure}"))
        for source in registry.disabled:
            self.stdout.write(f"  {source.name}  (switched off)")
        if not (registry.plugins or registry.failures or registry.disabled):
            self.stdout.write(
                '  none; for a start: pip install "wagtail-vector-index[numpy,wordllama]"'
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
        return ok, f"{text}: {backend.options.redact(health)}"

    def _health(self, backend: VectorBackend) -> tuple[bool, str]:
        try:
            health = backend.health()
        except Exception as error:  # noqa: BLE001  # to say so is what this command is for
            return False, f"does not work: {describe(error)}"
        details = "".join(f", {name} {value}" for name, value in health.details.items())
        state = "works" if health.ok else "does not work"
        return health.ok, f"{state}: {health.message}{details}"

    def _indexes(self) -> bool:
        self._heading("Vector indexes")
        try:
            for index in all_indexes():
                self.stdout.write(f"  {index.name}: {self._index_state(index.name)}")
        except DatabaseError as error:
            text = f"  {describe(error)}. Run: manage.py migrate"
            self.stdout.write(self.style.ERROR(text))
            return False
        return True

    def _index_state(self, name: str) -> str:
        active = Collection.objects.filter(index=name, state=Collection.State.ACTIVE).first()
        pending = PendingChange.objects.filter(index=name)
        failed = pending.exclude(last_error="").order_by("-pk")
        state = "not built" if active is None else f"{active.document_count} documents"
        text = f"{state}, {pending.count()} changes pending"
        if last := failed.first():
            text += f", {failed.count()} of them failed; {last.object_key}: {last.last_error}"
        return text

    def _heading(self, text: str) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(text))
