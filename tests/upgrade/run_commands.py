"""Runs management commands in one process: their arguments come in, their output goes out.

Both are JSON. ``["fill"]`` is a command of this file: it writes the content of a site.
"""

import contextlib
import io
import json
import sys

import django
from django.core.management import call_command


def main():
    django.setup()
    outputs = []
    for name, *arguments in json.loads(sys.stdin.read()):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            fill() if name == "fill" else call_command(name, *arguments)
        outputs.append(output.getvalue())
    sys.stdout.write(json.dumps(outputs))


def fill():
    from django.contrib.auth import get_user_model
    from wagtail.models import Page, PageViewRestriction

    user = get_user_model().objects.create_superuser("editor", "editor@example.org", "password")
    home = Page.objects.get(depth=2)
    for title in ("Bread", "Tea"):
        page = home.add_child(instance=Page(title=title, owner=user))
        page.save_revision(user=user).publish()
    PageViewRestriction.objects.create(page=page, restriction_type="login")


if __name__ == "__main__":
    main()
