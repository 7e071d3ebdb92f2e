"""Sites without the Wagtail admin, or without Wagtail, start all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[3]

DJANGO = ["admin", "auth", "contenttypes", "messages", "sessions", "staticfiles"]
WITHOUT_THE_ADMIN = ["wagtail", "wagtail.search", "wagtail.sites", "modelcluster", "taggit"]

SITE = """
import sys
from django.conf import settings
from tests import settings as whole

settings.configure(
    INSTALLED_APPS=["wagtail_vector_index", *sys.argv[1:]],
    DATABASES=whole.DATABASES,
    MIDDLEWARE=whole.MIDDLEWARE,
    SECRET_KEY="for tests only",
    STATIC_URL="/static/",
    TEMPLATES=whole.TEMPLATES,
    USE_TZ=True,
)
import django
django.setup()
from django.core.management import call_command
from django.template import engines
from wagtail import hooks

if "wagtail" in sys.argv:
    hooks.search_for_hooks()
call_command("check")
print(engines["django"].from_string("{% load wagtail_vector_index_tags %}works").render())
assert "wagtail_vector_index.admin.viewset" not in sys.modules
"""


@pytest.mark.parametrize("more", [[], WITHOUT_THE_ADMIN], ids=["no wagtail", "no admin"])
def test_sites_without_the_admin_work(more):
    apps = [*more, *(f"django.contrib.{name}" for name in DJANGO)]
    result = subprocess.run(
        [sys.executable, "-c", SITE, *apps],
        env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "works" in result.stdout
