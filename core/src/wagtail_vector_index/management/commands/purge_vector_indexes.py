"""Deletes what nobody may find any more, at once and everywhere."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...indexes import VectorIndex
from ...indexes.registry import all_indexes
from ...indexing.cleaning import clean_up, uncleaned
from ...indexing.comparing import gone_batches
from ...indexing.failures import error_text
from ...indexing.orphans import Orphan, orphans, remove
from ...indexing.plan import live_collections
from ...indexing.updating import apply_removals
from ..quiet import QuietableCommand
from ..requirements import require_tables


class Command(QuietableCommand):
    """Removes deleted content, leftovers, and indexes that are no longer in the code."""

    help = (
        "Delete at once the texts and vectors of objects that were deleted, unpublished or"
        " restricted, and whatever is no longer needed. Also delete what indexes that are no"
        " longer in the code have left, after a question."
    )
    interrupted = "Interrupted. To delete the rest, run the command again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--dry-run", action="store_true", help="Only list what would be deleted."
        )
        parser.add_argument(
            "--noinput",
            "--no-input",
            action="store_false",
            dest="interactive",
            help="Delete what indexes that are no longer in the code have left without asking.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """List what would be deleted, and delete it. If something fails, go on with the rest."""
        require_tables()
        indexes = all_indexes()
        left = orphans(index.name for index in indexes)
        for orphan in left:
            self.stdout.write(_line_of(orphan))
        if options["dry_run"]:
            problems = [problem for index in indexes for problem in self._list(index)]
            self._list_uncleaned()
        else:
            problems = self._remove(left, options)
            problems += [problem for index in indexes for problem in self._purge(index)]
            problems += clean_up(at_once=True)
        if problems:
            raise CommandError("\n".join(problems))
        if not options["dry_run"]:
            self.stdout.write("Nothing is left of deleted, unpublished or restricted content.")

    def _list(self, index: VectorIndex) -> list[str]:
        try:
            gone = sum(map(len, gone_batches(index, live_collections(index.name))))
        except Exception as error:  # noqa: BLE001  # the site's own code may raise anything
            return [f"{index.name}: {error_text(error)}"]
        if gone:
            self.stdout.write(f"{index.name}: {gone} objects that nobody may find any more.")
        return []

    def _list_uncleaned(self) -> None:
        for what, count in uncleaned().items():
            if count:
                self.stdout.write(f"{count} {what}.")

    def _remove(self, left: list[Orphan], options: dict[str, Any]) -> list[str]:
        """Remove what indexes have left, after a question; return what nobody decided on."""
        if not left:
            return []
        if options["interactive"] and not options["verbosity"]:
            return _kept(left, "--verbosity 0 shows no question")
        try:
            is_wanted = not options["interactive"] or self._is_wanted()
        except (EOFError, RuntimeError):  # nobody can answer; the second is if stdin is closed
            return _kept(left, "there is no terminal to answer the question")
        for orphan in left if is_wanted else ():
            remove(orphan)
            self.stdout.write(f"{orphan.index}: removed.")
        return []

    def _is_wanted(self) -> bool:
        self.stdout.write(
            "The indexes above are not in the code of this site. If they are in the code of"
            " another release that still runs, keep them."
        )
        return input("Delete what they have left? [y/N] ").strip().lower() in ("y", "yes")

    def _purge(self, index: VectorIndex) -> list[str]:
        try:
            removed = apply_removals(index, compare=True)
        except Exception as error:  # noqa: BLE001  # a backend or the site's own code
            return [f"{index.name}: {error_text(error)}"]
        if removed:
            self.stdout.write(f"{index.name}: {removed} objects removed.")
        return []


def _kept(left: list[Orphan], reason: str) -> list[str]:
    return [
        f"{orphan.index}: what it has left was kept, because {reason}. To delete it, run:"
        " manage.py purge_vector_indexes --noinput"
        for orphan in left
    ]


def _line_of(orphan: Orphan) -> str:
    collections = ", ".join(f"{c.name} on {c.vector_backend!r}" for c in orphan.collections)
    return (
        f"{orphan.index} is no index of this site. It has left {orphan.documents} chunks,"
        f" {orphan.pending} pending changes and these collections: {collections or 'none'}."
    )
