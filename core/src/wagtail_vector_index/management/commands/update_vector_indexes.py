"""Brings vector indexes up to date with the site's content and settings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connections

from ...exceptions import ConfigurationError, VectorIndexError
from ...indexes import VectorIndex
from ...indexes.registry import all_indexes, get_index
from ...indexing.failures import error_text, message_without_content
from ...indexing.ownership import take_over
from ...indexing.source_tables import missing_source_table
from ...indexing.updating import pending_keys, update
from ...plugins.calling import active_registry
from ...plugins.redaction import redacted, stack_of
from ...wording import sentence
from ..progress import progress_to
from ..quiet import QuietableCommand
from ..requirements import require_tables

logger = logging.getLogger(__name__)

_KEYS_SHOWN = 5


class Command(QuietableCommand):
    """Compares content with the indexes, embeds new texts, and updates the vector backends."""

    help = (
        "Bring vector indexes up to date with the site's content and settings. You can interrupt"
        " the command at any time. Several of these commands can run at the same time, also on"
        " several machines: each takes a share of the work."
    )
    interrupted = "Interrupted. Finished work is kept. To continue, run the command again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("index", nargs="*", help="The names of indexes; all by default.")
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help="Rebuild each index beside the one in use. Embeddings are reused.",
        )
        parser.add_argument(
            "--take-over",
            action="store_true",
            help=(
                "Go on with collections that another site created in the vector backends, because"
                " this site was moved and that one is gone."
            ),
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Only print how many objects would be written."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Update the indexes. If one fails, go on with the others."""
        if options["dry_run"] and options["take_over"]:
            raise CommandError("--take-over writes, so it cannot be combined with --dry-run.")
        require_tables()
        if options["verbosity"]:
            self._warn_of_plugins()
        failures = []
        for index in self._indexes(options["index"]):
            try:
                failures += self._handle_index(index, options)
            except VectorIndexError as error:
                failures.append(redacted(f"{index.name}: {message_without_content(error)}"))
            except Exception as error:  # noqa: BLE001  # from a database, a backend or the site's code
                if isinstance(error, Error) and (missing := missing_source_table(index)):
                    failures.append(str(missing))
                    continue
                failures.append(f"{index.name}: {error_text(error)}")
                logger.warning("%s could not be updated:\n%s", index.name, stack_of(error))
                _close_broken_connections()
        if failures:
            raise CommandError("\n".join(failures))

    def _warn_of_plugins(self) -> None:
        with suppress(ConfigurationError):  # reported for each index
            for failure in active_registry().failures:
                self.stderr.write(sentence(f"The {failure}"))

    def _indexes(self, names: list[str]) -> list[VectorIndex]:
        try:
            named = {index.name: index for index in map(get_index, names)}
            indexes = list(named.values()) or all_indexes()
        except VectorIndexError as error:
            raise CommandError(str(error)) from error
        if not indexes:
            self.stdout.write(
                "There are no vector indexes. Add VectorIndexedMixin to a model, or declare"
                " an index in vector_indexes.py."
            )
        return indexes

    def _handle_index(self, index: VectorIndex, options: dict[str, Any]) -> list[str]:
        if options["dry_run"]:
            count = len(pending_keys(index, rebuild=options["rebuild"]))
            self.stdout.write(f"{index.name}: {count} objects to write.")
            return []
        if options["take_over"] and (count := take_over(index.name)):
            self.stdout.write(f"{index.name}: {count} collections taken over.")
        progress = progress_to(self.stdout)
        try:
            updated = update(index, rebuild=options["rebuild"], progress=progress)
        finally:
            progress.finished()
        drained = updated.drained
        built = " Rebuilt." if updated.built else ""
        if updated.leader:
            built = f" The process {updated.leader} leads the build and finishes it."
        self.stdout.write(
            f"{index.name}: {drained.objects} objects written ({drained.upserted} chunks"
            f" added, {drained.deleted} deleted).{built}"
        )
        failures = [f"{index.name}: {failure}" for failure in _by_error(drained.errors)]
        return [str(updated.held_back), *failures] if updated.held_back else failures


def _close_broken_connections() -> None:
    """Close connections that broke, so that the next index gets connections that work."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _by_error(errors: dict[str, str]) -> Iterator[str]:
    """Yield each error once, with the objects that it happened to."""
    keys_of: dict[str, list[str]] = {}
    for key, error in errors.items():
        keys_of.setdefault(error, []).append(key)
    for error, keys in keys_of.items():
        more = f" and {len(keys) - _KEYS_SHOWN} more" if len(keys) > _KEYS_SHOWN else ""
        yield f"{', '.join(keys[:_KEYS_SHOWN])}{more}: {error}"
