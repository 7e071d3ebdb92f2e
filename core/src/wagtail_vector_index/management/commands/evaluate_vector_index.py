"""Measures how well a vector index answers questions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from ...content.titles import title_of
from ...content.visibility import visible_to
from ...exceptions import VectorIndexError
from ...indexes import VectorIndex
from ...indexes.registry import get_index
from ...plugins.redaction import redacted
from ..evaluation.answers import right_answers
from ..evaluation.measures import Distribution, measures, suggested_threshold
from ..evaluation.questions import read_questions
from ..evaluation.running import MODES, Asked, Evaluation, evaluate
from ..quiet import QuietableCommand
from ..requirements import require_tables

#: The most objects to show that came in place of a right answer.
_SHOWN = 3


class Command(QuietableCommand):
    """Prints how often an index finds the right answers of questions, in each mode."""

    help = "Measure how well a vector index answers questions whose right answers you know."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("index", help="The name of the index.")
        parser.add_argument(
            "questions",
            help="A CSV file whose first line is: question,answer. An answer is a URL, a path or a"
            " key. More columns or lines give more right answers of a question. A question without"
            " an answer is one for which nothing should be found.",
        )
        parser.add_argument(
            "--user", help="Search as this user; by default as an anonymous visitor."
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the questions, ask them, and print the measures."""
        require_tables()
        user = _user(options["user"])
        questions = read_questions(options["questions"])
        visibility = visible_to(user)
        try:
            index = get_index(options["index"])
            right = right_answers(options["questions"], questions, index, visibility)
            asked = [(question.text, keys) for question, keys in zip(questions, right, strict=True)]
            report = _report(index, evaluate(index, asked, visibility, user), options["user"])
        except VectorIndexError as error:
            raise CommandError(redacted(str(error))) from error
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self._print(report)

    def _print(self, report: dict[str, Any]) -> None:
        self.stdout.write(
            f"{report['index']}: {report['questions']} questions,"
            f" {report['without_answer']} of them without an answer,"
            f" asked as {report['user'] or 'an anonymous visitor'}\n"
        )
        self._table(report["modes"], 2)
        if report["words_problem"]:
            self.stdout.write(f"The search for words failed: {report['words_problem']}")
        for failure in report["failed"]:
            self._failure(failure)
        self.stdout.write(self.style.MIGRATE_HEADING("\nVector scores"))
        self._table(report["scores"], 3)
        self._threshold(report["threshold"])

    def _table(self, rows: dict[str, dict[str, Any]], digits: int) -> None:
        """Print a table, with a row for each entry."""
        columns = list(next(iter(rows.values())))
        self.stdout.write(" " * 10 + "".join(f"{name:>10}" for name in columns))
        for name, values in rows.items():
            cells = (_number(values[column], digits) for column in columns)
            self.stdout.write(f"{name:10}" + "".join(f"{cell:>10}" for cell in cells))

    def _failure(self, failure: dict[str, Any]) -> None:
        self.stdout.write(self.style.ERROR(f"\nNot found: {failure['question']}"))
        self.stdout.write(f"  right: {', '.join(one['title'] for one in failure['right'])}")
        for mode, found in failure["instead"].items():
            shown = ", ".join(_with_score(one) for one in found) or "nothing"
            self.stdout.write(f"  {mode} found instead: {shown}")

    def _threshold(self, threshold: dict[str, float] | None) -> None:
        if threshold is None:
            self.stdout.write("There are too few scores to suggest a threshold.")
            return
        self.stdout.write(
            f"similarity_threshold={threshold['value']:.3f} would keep"
            f" {threshold['kept']:.0%} of the right answers, and leave out"
            f" {threshold['left_out']:.0%} of the unrelated ones."
        )


def _user(name: str | None) -> Any:
    if name is None:
        return None
    users = get_user_model()
    try:
        return users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name!r}.") from error


def _report(index: VectorIndex, done: Evaluation, user: str | None) -> dict[str, Any]:
    modes = [mode for mode in MODES if mode != "words" or not done.words_problem]
    threshold = suggested_threshold(done.right, done.unrelated)
    scores = {"right": done.right, "wrong": done.wrong, "unrelated": done.unrelated}
    return {
        "index": index.name,
        "user": user,
        "questions": len(done.asked),
        "without_answer": len(done.asked) - len(done.answerable),
        "modes": {
            mode: measures([(one.found[mode], one.right) for one in done.answerable])
            for mode in modes
        },
        "words_problem": redacted(done.words_problem),
        "failed": _failures(index, done, modes),
        "scores": {name: asdict(Distribution.of(values)) for name, values in scores.items()},
        "threshold": None if threshold is None else asdict(threshold),
    }


def _failures(index: VectorIndex, done: Evaluation, modes: list[str]) -> list[dict[str, Any]]:
    """Return the questions for which a mode found no right answer, with what it found instead."""
    failed = [one for one in done.answerable if set(one.failed) & set(modes)]
    keys = {key for one in failed for found in one.found.values() for key in found[:_SHOWN]}
    titles = index.fetch(sorted(keys.union(*(one.right for one in failed))))

    def shown(one: Asked, key: str) -> dict[str, Any]:
        title = title_of(titles[key]) if key in titles else key
        return {"key": key, "title": title, "score": one.scores.get(key)}

    return [
        {
            "question": one.text,
            "right": [shown(one, key) for key in sorted(one.right)],
            "instead": {
                mode: [shown(one, key) for key in one.found[mode][:_SHOWN]]
                for mode in modes
                if mode in one.failed
            },
        }
        for one in failed
    ]


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _with_score(found: dict[str, Any]) -> str:
    score = found["score"]
    return found["title"] if score is None else f"{found['title']} ({score:.3f})"
