"""Runs management commands on the site in one process, and prints their outputs as JSON.

The commands are JSON, on the command line. ``["get", "/path"]`` is one of this file: the
site's answer under WSGI.
"""

import contextlib
import io
import json
import sys
from wsgiref.util import setup_testing_defaults

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


def run(name, *arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            print(get(*arguments)) if name == "get" else call_command(name, *arguments)
        except SystemExit as error:
            print(f"[exit {error.code}]")
    return output.getvalue()


def get(url):
    environ = {}
    setup_testing_defaults(environ)
    environ["PATH_INFO"], _, environ["QUERY_STRING"] = url.partition("?")
    response = get_wsgi_application()(environ, lambda *status_and_headers: None)
    response.close()
    return b"".join(response).decode()


if __name__ == "__main__":
    django.setup()
    print(json.dumps([run(*command) for command in json.loads(sys.argv[1])]))
