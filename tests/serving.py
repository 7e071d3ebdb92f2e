"""A site for tests with real servers, in which notes can be written and searched over HTTP.

Like many sites, it uses its backends before a prefork server begins to fork.
"""

import json
import os

import django
from django.db import connections
from django.http import JsonResponse
from django.urls import path

from tests.testapp.embeddings import WordEmbeddings


class ToldWhenClosed(WordEmbeddings):
    """A backend that notes in a file which process has closed it."""

    def close(self):
        append_line(os.environ["CLOSED_LOG"], process=os.getpid())


def append_line(path, **values):
    """Append one line of JSON to a file, which stays whole even if several processes write."""
    line = json.dumps(values).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)


def write(request):
    from tests.notes.models import Note

    note = Note.objects.create(text=request.GET["text"])
    return JsonResponse({"process": os.getpid(), "note": note.pk})


def search(request):
    from tests.notes.models import Note

    found = Note.vector_index.search(request.GET["text"], limit=3)
    return JsonResponse({"process": os.getpid(), "found": [note.text for note in found]})


async def asearch(request):
    from tests.notes.models import Note

    found = await Note.vector_index.asearch(request.GET["text"], limit=3)
    return JsonResponse({"process": os.getpid(), "found": [note.text for note in found]})


urlpatterns = [path("write", write), path("search", search), path("asearch", asearch)]


def _used():
    from tests.notes.models import Note

    list(Note.vector_index.search("bread"))
    connections.close_all()


if "SERVE" in os.environ:
    django.setup()
    if os.environ["SERVE"] == "gunicorn":
        _used()  # uses the backends in the process that will fork; uvicorn does not fork
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    wsgi, asgi = get_wsgi_application(), get_asgi_application()
