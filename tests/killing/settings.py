"""The tests' site for the kill test: a database, a vector backend and a log from outside."""

from tests.settings_folder import *  # noqa: F403  # isort: skip  # first: the others win
from tests.settings import INSTALLED_APPS, MIDDLEWARE, ROOT_URLCONF  # noqa: F401
from tests.settings_folder import DATABASES, FOLDER
from tests.settings_folder import INSTALLED_APPS as FEWER_APPS

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Wagtail's own transactions read before they write.
    DATABASES["default"]["OPTIONS"] |= {"transaction_mode": "IMMEDIATE", "timeout": 60}

INSTALLED_APPS = list(dict.fromkeys(["tests.killing", *INSTALLED_APPS, *FEWER_APPS]))
INSTALLED_APPS.remove("tests.notes")
MEDIA_ROOT = FOLDER / "media"
