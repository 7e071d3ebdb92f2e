"""A project in the current folder, with a task queue: its manage.py.

Run by test_task_queue.py. The environment has the settings of the queue. The command ``celery`` is
Celery's worker, until a task is done.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import task_success
from celery.worker import state

sys.path.insert(0, str(Path.cwd()))
sys.path.append(str(Path(__file__).parents[2]))

import django
from django.conf import settings
from django.core.management import execute_from_command_line

queue = json.loads(os.environ["QUEUE_SETTINGS"])
apps = ["recipes", "wagtail_vector_index", *queue.pop("INSTALLED_APPS", [])]
settings.configure(
    **queue,
    INSTALLED_APPS=[*apps, "django.contrib.auth", "django.contrib.contenttypes"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "site.sqlite3",
            "OPTIONS": {"transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SECRET_KEY="docs",
    STATIC_URL="/static/",
    USE_TZ=True,
    WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS={
        "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings"}
    },
)
# Messages are files, so no broker is needed.
celery = Celery("site", broker="filesystem://", set_as_current=True)
celery.conf.update(
    imports=["blog.celery_tasks"],
    broker_transport_options={"data_folder_in": "messages", "data_folder_out": "messages"},
)


@task_success.connect
def stop(**_: Any) -> None:
    """End the worker after a task."""
    state.should_stop = 0


if sys.argv[1:] == ["celery"]:
    django.setup()
    celery.Worker(pool="solo", loglevel="WARNING").start()
else:
    execute_from_command_line(["manage.py", *sys.argv[1:]])
