"""Shows which backends are installed, configured and healthy."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...exceptions import VectorIndexError
from ...handlers import HANDLERS, BackendHandler, vector_backends
from ...indexes.registry import all_indexes
from ...models.record import Collection, PendingChange
from ...plugins.calling import active_registry
from ...plugins.discovery import KINDS


class Command(BaseCommand):
    """Lists plugins, their backends, the configured aliases and the indexes."""

    help = "Show which backends are installed and configured; with --check, whether they work."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--check",
            action="store_true",
            help="Ask every configured vector backend whether it works. Exits with 1 if not.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the three lists."""
        self._installed()
        healthy = [self._configured(handler, check=options["check"]) for handler in HANDLERS]
        self._indexes()
        if not all(healthy):
            sys.exit(1)

    def _installed(self) -> None:
        registry = active_registry()
        self._heading("Installed plugins")
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
            self.stdout.write('  none; for a start: pip install "wagtail-vector-index[numpy,wordllama]"')

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
            text = f"{type(backend).__name__} {backend.options!r}"
            if not check or handler is not vector_backends:
                return True, text
            health = backend.health()
        except VectorIndexError as error:
            return False, str(error)
        details = "".join(f", {name} {value}" for name, value in health.details.items())
        state = "works" if health.ok else "does not work"
        return health.ok, f"{text}: {state}: {backend.options.redact(health.message)}{details}"

    def _indexes(self) -> None:
        self._heading("Vector indexes")
        for index in all_indexes():
            self.stdout.write(f"  {index.name}: {self._index_state(index.name)}")

    def _index_state(self, name: str) -> str:
        active = Collection.objects.filter(index=name, state=Collection.State.ACTIVE).first()
        pending = PendingChange.objects.filter(index=name)
        failed = pending.exclude(last_error="")
        state = "not built" if active is None else f"{active.document_count} documents"
        text = f"{state}, {pending.count()} changes pending"
        if failed:
            last = failed.latest("pk")
            text += f", {failed.count()} of them failed; {last.object_key}: {last.last_error}"
        return text

    def _heading(self, text: str) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(text))
