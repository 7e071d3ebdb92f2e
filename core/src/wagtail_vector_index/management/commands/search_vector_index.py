"""Searches a vector index from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...content.titles import title_of
from ...exceptions import VectorIndexError
from ...indexes.registry import get_index
from ...plugins.redaction import redacted
from ...search.excerpts import excerpt_of
from ..quiet import QuietableCommand
from ..requirements import require_tables


class Command(QuietableCommand):
    """Prints the objects nearest in meaning to a text, with their scores and excerpts."""

    help = "Search a vector index, as an anonymous visitor would."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("index", help="The name of the index.")
        parser.add_argument("query", help="The text to search for.")
        parser.add_argument(
            "--limit", type=int, default=5, help="The most objects to show; 5 by default."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Search and print the results."""
        require_tables()
        try:
            index = get_index(options["index"])
            results = list(index.search(options["query"], limit=options["limit"]))
        except VectorIndexError as error:
            raise CommandError(redacted(str(error))) from error
        if not results:
            self.stdout.write("Nothing found.")
        for result in results:
            self.stdout.write(f"{result.vector_score:6.3f}  {self.style.SUCCESS(title_of(result))}")
            self.stdout.write(f"        {excerpt_of(result)(mark=False)}")
