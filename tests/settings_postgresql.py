"""The same site with its databases in the PostgreSQL that DATABASE_URL names."""

import os

from tests.postgres import database_at
from tests.settings import *  # noqa: F403

server = database_at(os.environ["DATABASE_URL"])
DATABASES = {
    alias: {**server, "NAME": f"site_{alias}", "TEST": {"NAME": f"test_{os.getpid()}_{alias}"}}
    for alias in ["default", "other"]
}
