"""Reads questions and the names of their right answers from a CSV file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from django.core.management.base import CommandError

__all__ = ["Question", "problems_in", "read_questions"]

_FIRST_LINE = "question,answer"
_DELIMITERS = ",;\t"
_SHOWN = 20


@dataclass(kw_only=True)
class Question:
    """A question, with the names of its right answers by the line that has them.

    A question without an answer is one for which nothing should be found.
    """

    text: str
    answers: dict[str, int] = field(default_factory=dict)


def read_questions(path: str) -> list[Question]:
    """Return the questions in a file. Lines with the same question are one question.

    Raises:
        CommandError: the file cannot be read, or is wrong; the message lists the lines.
    """
    header, *rows = _rows(path, _text(path)) or [(1, [""])]
    if header[1][0].lower() != "question" or len(header[1]) < 2:
        raise CommandError(
            f"{path}: the first line must name the columns, such as: {_FIRST_LINE}. The second"
            " column, and any column after it, has the URL, the path or the key of a right answer."
        )
    questions: dict[str, Question] = {}
    problems = []
    for line, (text, *answers) in rows:
        if text:
            question = questions.setdefault(text.casefold(), Question(text=text))
            question.answers.update((answer, line) for answer in answers if answer)
        elif any(answers):
            problems.append(f"line {line} has an answer, but no question.")
    if problems:
        raise CommandError(problems_in(path, problems))
    if not any(question.answers for question in questions.values()):
        raise CommandError(f"{path} has no question with a right answer.")
    return list(questions.values())


def problems_in(path: str, problems: list[str]) -> str:
    """Return the text of an error that lists the problems in a file."""
    more = [f"… and {len(problems) - _SHOWN} more."] if len(problems) > _SHOWN else []
    return "\n".join([f"{path} is wrong. Nothing was asked.", *problems[:_SHOWN], *more])


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} is not in UTF-8. Save it as UTF-8, which spreadsheets call CSV UTF-8."
        ) from error


def _rows(path: str, text: str) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line that is not blank."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise CommandError(f"{path}, line {reader.line_num}: {error}.") from error
    return rows
