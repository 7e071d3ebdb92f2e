"""Runs Django's commands on the demo site, for instance `python demo/manage.py shell`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vectordemo.settings")
    execute_from_command_line(sys.argv)
