"""Makes a Wagtail site of Django's documentation, indexes it, and searches it.

python demo/run.py             makes the site, or brings it up to date
python demo/run.py --serve     then serves it on this machine
"""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data"
LOGIN, PASSWORD = "admin", "vectors"
BEST = 5


def main():
    options = parsed_arguments()
    sys.path.insert(0, str(HERE))
    os.environ["DJANGO_SETTINGS_MODULE"] = "vectordemo.settings"
    import django

    django.setup()
    prepare()
    index()
    ask()
    if options.serve:
        serve(options.port)
    else:
        say_how_to_go_on()


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="serve the site afterwards")
    parser.add_argument("--port", type=int, default=8000, help="the port to serve it on")
    return parser.parse_args()


def prepare():
    """Text, database, pages: each only as far as it isn't there yet."""
    from django.core.management import call_command
    from vectordemo.docs import cache, source
    from vectordemo.terminal import counted, step
    from vectordemo.tree import import_documents

    with step("Django's source distribution") as detail:
        archive = fetched(source)
        detail(archive.name)
    with step("Documentation converted") as detail:
        documents = cache.documents(archive, DATA, counted("Converting the documentation"))
        detail(f"{len(documents)} documents")
    with step("Database"):
        call_command("migrate", verbosity=0)
        make_login()
    with step("Pages") as detail:
        for what, count in import_documents(documents).items():
            detail(f"{count} {what}")


def fetched(source):
    try:
        return source.source_distribution(DATA)
    except source.DownloadFailed as failure:
        sys.exit(f"\n{failure}")


def make_login():
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if not users.filter(username=LOGIN).exists():
        users.create_superuser(LOGIN, "admin@example.com", PASSWORD)


def index():
    from django.core.management import call_command
    from vectordemo.terminal import step

    with step("Vector index"):
        call_command("update_vector_indexes")


def ask():
    from vectordemo.questions import QUESTIONS
    from vectordemo.terminal import show_results, step
    from vectordemo.vector_indexes import SiteIndex

    with step("Model and vectors loaded"):
        list(SiteIndex().search(QUESTIONS[0], limit=1))
    for question in QUESTIONS:
        started = time.perf_counter()
        results = list(SiteIndex().search(question, limit=BEST))
        show_results(question, results, time.perf_counter() - started)


def say_how_to_go_on():
    from vectordemo.terminal import say, styled

    say()
    say(styled("How to go on", "bold"))
    say("  nox -s demo -- --serve           serve this site, with a search page and the admin")
    say("  demo/vectordemo/settings.py      which vector and embedding backends it uses")
    say("  demo/vectordemo/models.py        what of a page is embedded, and what one can filter by")
    say("  demo/README.md                   what else to try")


def serve(port):
    from django.core.management import call_command
    from vectordemo.terminal import say, styled

    address = f"http://127.0.0.1:{port}/"
    say()
    say(f"{styled('Site', 'bold')}    {address}")
    say(f"{styled('Search', 'bold')}  {address}search/")
    say(f"{styled('Admin', 'bold')}   {address}admin/   login {LOGIN}, password {PASSWORD}")
    say("Ctrl+C stops it.")
    say()
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)


if __name__ == "__main__":
    main()
