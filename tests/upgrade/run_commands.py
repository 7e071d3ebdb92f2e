"""Runs management commands in a process of a site, and returns what they print."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence

from django.core.management import call_command

__all__ = ["run"]


def run(commands: Iterable[Sequence[str]]) -> list[str]:
    """Run commands, each a list of words; return the output of each.

    ``["fill"]`` is a command of this file: it writes the content of a site.
    """
    outputs = []
    for name, *arguments in commands:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            fill() if name == "fill" else call_command(name, *arguments)
        outputs.append(output.getvalue())
    return outputs


def fill() -> None:
    from django.contrib.auth import get_user_model
    from wagtail.models import Page, PageViewRestriction

    user = get_user_model().objects.create_superuser("editor", "editor@example.org", "password")
    home = Page.objects.get(depth=2)
    for title in ("Bread", "Tea"):
        page = home.add_child(instance=Page(title=title, owner=user))
        page.save_revision(user=user).publish()
    PageViewRestriction.objects.create(page=page, restriction_type="login")
